// The mangling grammar of C++ (Itanium C++ ABI §5.1): names and types. Expressions are next door.
//
//   _Z N 3foo 3bar I c E E v        N … E a nested name, I … E its template arguments, then the parameters: foo::bar<char>()
//
// What was parsed can be referred to later: `S_`, `S0_`, … count the parts of names and types in the order in which they ended,
// `T_`, `T0_`, … the template arguments. Both are looked up while parsing, so that the tree has no numbers in it.

import { literal, parseExpression } from './itanium-expressions.ts';
import {
  Abbreviation,
  ArrayType,
  Declaration,
  DemangleError,
  Expansion,
  FunctionType,
  List,
  Nested,
  type Node,
  Pack,
  Parameter,
  Pointer,
  Qualified,
  Sequence,
  Special,
  Structor,
  Suffixed,
  Text,
} from './itanium-nodes.ts';
import { ABBREVIATIONS, BUILTINS, D_BUILTINS, OPERATORS, SPECIAL_NAMES } from './itanium-tables.ts';

/// What a name tells about the function that bears it.
interface NameState {
  /// Constructors, destructors and conversions have no result, even as templates.
  noResult: boolean;
  endsWithArguments: boolean;
  qualifiers: string;
}

const DEEPEST = 256;

export class Parser {
  readonly text: string;
  at: number;
  /// What `S_` refers to.
  readonly substitutions: Node[] = [];
  /// What `T_` refers to, by level: templates in the parameters of lambdas nest.
  #parameters: Node[][] = [];
  readonly #forward: { index: number; parameter: Parameter }[] = [];
  #permitForward = false;
  /// False while a type ends where `I` begins: the arguments belong to the conversion operator, not to its type.
  #takeArguments = true;
  #lambdaLevel = -1;
  #depth = 0;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
  }

  look(ahead = 0): string {
    return this.text[this.at + ahead] ?? '';
  }

  eat(expected: string): boolean {
    if (!this.text.startsWith(expected, this.at)) return false;
    this.at += expected.length;
    return true;
  }

  expect(expected: string): void {
    if (!this.eat(expected)) throw new DemangleError();
  }

  /// Digits, perhaps after `n` for minus; '' if there are none.
  number(signed = false): string {
    const start = this.at;
    if (signed) this.eat('n');
    while (isDigit(this.look())) this.at++;
    return this.text.slice(start, this.at).replace('n', '-');
  }

  /// Runs `parse` until `end` comes.
  until(end: string, parse: () => void): void {
    while (!this.eat(end)) {
      if (this.at >= this.text.length) throw new DemangleError();
      parse();
    }
  }

  /// Guards what recurses: a hostile name must not use up the stack.
  nested<T>(parse: () => T): T {
    if (++this.#depth > DEEPEST) throw new DemangleError();
    const result = parse();
    this.#depth--;
    return result;
  }

  encoding(): Node {
    return this.nested(() => {
      const outer = this.#parameters;
      this.#parameters = [];
      const node = this.look() === 'G' || this.look() === 'T' ? this.#specialName() : this.#entity();
      this.#parameters = outer;
      return node;
    });
  }

  #entity(): Node {
    const state: NameState = { noResult: false, endsWithArguments: false, qualifiers: '' };
    const forward = this.#forward.length;
    const name = this.name(state);
    for (const { index, parameter } of this.#forward.splice(forward)) {
      parameter.value = this.#parameters[0]?.[index];
      if (parameter.value === undefined) throw new DemangleError();
    }
    if (this.#atEndOfEncoding()) return name;
    let attribute = '';
    if (this.eat('Ua9enable_if')) {
      this.#templateArguments(false); // a condition that says nothing about the function
      attribute = ' [enable_if]';
    }
    const result = state.endsWithArguments && !state.noResult ? this.type() : undefined;
    const parameters: Node[] = [];
    if (!this.eat('v')) {
      do parameters.push(this.type());
      while (!this.#atEndOfEncoding() && this.look() !== 'Q');
    }
    const requires = this.#constraint();
    const qualifiers = state.qualifiers + attribute;
    return new Declaration(name, {
      result,
      parameters,
      qualifiers: requires ? new Sequence(qualifiers, ' requires ', requires) : qualifiers,
    });
  }

  #atEndOfEncoding(): boolean {
    return this.at >= this.text.length || 'E._'.includes(this.look());
  }

  #constraint(): Node | undefined {
    return this.eat('Q') ? parseExpression(this) : undefined;
  }

  #specialName(): Node {
    const code = this.text.slice(this.at, this.at + 2);
    this.at += 2;
    if (code === 'Tc') {
      this.#callOffset();
      this.#callOffset();
      return new Special('covariant return thunk to ', this.encoding());
    }
    if (code === 'Th' || code === 'Tv') {
      this.at--;
      this.#callOffset();
      return new Special(code === 'Tv' ? 'virtual thunk to ' : 'non-virtual thunk to ', this.encoding());
    }
    if (code === 'TC') {
      const derived = this.type();
      this.number();
      this.expect('_');
      return new Sequence('construction vtable for ', this.type(), '-in-', derived);
    }
    if (code === 'GR') {
      const name = this.name();
      this.number();
      this.eat('_');
      return new Special('reference temporary for ', name);
    }
    if (code === 'GT') {
      const kind = this.look();
      this.at++;
      return new Special(kind === 'n' ? 'non-transaction clone for ' : 'transaction clone for ', this.encoding());
    }
    const special = SPECIAL_NAMES[code];
    if (special === undefined) throw new DemangleError();
    const [what, of] = special;
    return new Special(what, of === 'type' ? this.type() : of === 'argument' ? this.templateArgument() : this.name());
  }

  #callOffset(): void {
    const virtual = this.eat('v');
    if (!virtual) this.expect('h');
    this.number(true);
    this.expect('_');
    if (!virtual) return;
    this.number(true);
    this.expect('_');
  }

  // Names

  name(state?: NameState): Node {
    return this.nested(() => {
      if (this.look() === 'N') return this.#nestedName(state);
      if (this.look() === 'Z') return this.#localName(state);
      let name: Node;
      if (this.look() === 'S' && this.look(1) !== 't') {
        name = this.#substitution();
        if (this.look() !== 'I') throw new DemangleError();
      } else {
        const std = this.eat('St') ? new Text('std') : undefined;
        name = this.unqualifiedName(std, state);
        if (this.look() !== 'I') return name;
        this.substitutions.push(name);
      }
      return this.#withArguments(name, state);
    });
  }

  #withArguments(name: Node, state: NameState | undefined): Node {
    const suffixed = new Suffixed(name, this.#templateArguments(state !== undefined));
    if (state) state.endsWithArguments = true;
    return suffixed;
  }

  #nestedName(state: NameState | undefined): Node {
    this.expect('N');
    this.eat('H'); // an explicit object parameter changes nothing that is printed
    const qualifiers = this.#cvQualifiers() + (this.eat('O') ? ' &&' : this.eat('R') ? ' &' : '');
    if (state) state.qualifiers = qualifiers;
    let scope: Node | undefined;
    this.until('E', () => {
      if (this.eat('M') && scope) return; // a lambda in the initializer of a member
      if (state) state.endsWithArguments = false;
      if (this.look() === 'S') {
        if (scope) throw new DemangleError();
        scope = this.eat('St') ? new Text('std') : this.#substitution();
        return;
      }
      if (this.look() === 'I') {
        if (!scope) throw new DemangleError();
        scope = this.#withArguments(scope, state);
      } else if (this.look() === 'T') {
        if (scope) throw new DemangleError();
        scope = this.templateParameter();
      } else if (this.#atDecltype()) {
        if (scope) throw new DemangleError();
        scope = this.#decltype();
      } else {
        scope = this.unqualifiedName(scope, state);
      }
      this.substitutions.push(scope);
    });
    if (!scope || this.substitutions.length === 0) throw new DemangleError();
    this.substitutions.pop(); // the whole is no prefix; as a type it counts again
    return scope;
  }

  #localName(state: NameState | undefined): Node {
    this.expect('Z');
    const encoding = this.encoding();
    this.expect('E');
    if (this.eat('s')) {
      this.#discriminator();
      return new Nested(encoding, new Text('string literal'));
    }
    if (this.eat('d')) {
      this.number();
      this.expect('_');
      return new Nested(encoding, this.name(state));
    }
    const name = this.name(state);
    this.#discriminator();
    return new Nested(encoding, name);
  }

  #discriminator(): void {
    if (this.look() === '_' && isDigit(this.look(1))) {
      this.at += 2;
    } else if (this.look() === '_' && this.look(1) === '_') {
      this.at += 2;
      this.number();
      this.expect('_');
    } else if (/^\d+$/.test(this.text.slice(this.at))) {
      this.at = this.text.length;
    }
  }

  unqualifiedName(scope: Node | undefined, state?: NameState): Node {
    let module = '';
    while (this.eat('W')) {
      this.eat('P');
      module += `${module === '' ? '' : '.'}${this.sourceName()}`;
      this.substitutions.push(new Text(module));
    }
    if (scope) this.eat('F');
    this.eat('L');
    let owner = scope;
    let name: Node;
    const next = this.look();
    if (isDigit(next)) {
      name = new Text(this.sourceName());
    } else if (next === 'U') {
      name = this.#unnamedType();
    } else if (this.eat('DC')) {
      const names: Node[] = [];
      this.until('E', () => names.push(new Text(this.sourceName())));
      name = new List('[', names, ']');
    } else if (next === 'C' || (next === 'D' && '012345'.includes(this.look(1)))) {
      if (!scope) throw new DemangleError();
      if (scope instanceof Abbreviation) owner = scope.full;
      name = this.#structor(owner!);
      if (state) state.noResult = true;
    } else {
      name = this.operatorName(state);
    }
    if (module !== '') name = new Sequence(name, `@${module}`);
    name = this.#withTags(name);
    return owner ? new Nested(owner, name) : name;
  }

  #withTags(name: Node): Node {
    let tagged = name;
    while (this.eat('B')) tagged = new Suffixed(tagged, new Text(`[abi:${this.sourceName()}]`));
    return tagged;
  }

  sourceName(): string {
    const digits = this.number();
    const start = this.at;
    this.at += Number(digits);
    if (digits === '' || this.at === start || this.at > this.text.length) throw new DemangleError();
    const name = this.text.slice(start, this.at);
    return name.startsWith('_GLOBAL__N') ? '(anonymous namespace)' : name;
  }

  #structor(scope: Node): Node {
    if (this.eat('D')) {
      this.at++;
      return new Structor(scope, true);
    }
    this.expect('C');
    const inheriting = this.eat('I');
    if (!'12345'.includes(this.look()) || this.look() === '') throw new DemangleError();
    this.at++;
    if (inheriting) this.name();
    return new Structor(scope, false);
  }

  #unnamedType(): Node {
    if (this.eat('Ut')) return this.#numbered("'unnamed");
    if (this.eat('Ub')) return this.#numbered("'block-literal");
    this.expect('Ul');
    const level = this.#parameters.length;
    const lambdaLevel = this.#lambdaLevel;
    this.#lambdaLevel = level;
    const own: Node[] = [];
    this.#parameters.push(own);
    const declared: Node[] = [];
    while (this.look() === 'T' && 'yntpk'.includes(this.look(1)))
      declared.push(this.#templateParameterDeclaration(own));
    const before = this.#constraint();
    const parameters: Node[] = [];
    if (!this.eat('v')) while (!'EQ'.includes(this.look())) parameters.push(this.type());
    const after = this.#constraint();
    this.expect('E');
    this.#parameters.length = level;
    this.#lambdaLevel = lambdaLevel;
    return new Sequence(
      this.#numbered("'lambda"),
      ...(declared.length > 0 ? [new List('<', declared, '>')] : []),
      ...(before ? [' requires ', before, ' '] : []),
      new List('(', parameters, ')'),
      ...(after ? [' requires ', after] : []),
    );
  }

  #numbered(prefix: string): Node {
    const number = this.number();
    this.expect('_');
    return new Text(`${prefix}${number}'`);
  }

  /// `template <typename $T>`: the parameters of a lambda have no names, so they get some.
  #templateParameterDeclaration(own: Node[]): Node {
    const invent = (letter: string): Node => {
      const name = new Text(`$${letter}${own.length === 0 ? '' : own.length - 1}`);
      own.push(name);
      return name;
    };
    if (this.eat('Ty')) return new Sequence('typename ', invent('T'));
    if (this.eat('Tk')) {
      const constraint = this.name();
      return new Sequence(constraint, ' ', invent('T'));
    }
    if (this.eat('Tn')) {
      const name = invent('N');
      const type = this.type();
      return new Sequence(type, ' ', name);
    }
    if (this.eat('Tt')) {
      const name = invent('TT');
      const inner: Node[] = [];
      this.until('E', () => inner.push(this.#templateParameterDeclaration([])));
      return new Sequence('template', new List('<', inner, '>'), ' typename ', name);
    }
    this.expect('Tp');
    const pattern = this.nested(() => this.#templateParameterDeclaration(own));
    return new Sequence(pattern, '...');
  }

  operatorName(state?: NameState): Node {
    if (this.eat('cv')) {
      const { takeArguments, permit } = { takeArguments: this.#takeArguments, permit: this.#permitForward };
      this.#takeArguments = false;
      this.#permitForward = permit || state !== undefined;
      const type = this.type();
      this.#takeArguments = takeArguments;
      this.#permitForward = permit;
      if (state) state.noResult = true;
      return new Sequence('operator ', type);
    }
    if (this.eat('li')) return new Text(`operator""${this.sourceName()}`);
    if (this.look() === 'v' && isDigit(this.look(1))) {
      this.at += 2;
      return new Text(`operator ${this.sourceName()}`);
    }
    const operator = OPERATORS[this.text.slice(this.at, this.at + 2)];
    if (operator?.name === undefined) throw new DemangleError();
    this.at += 2;
    return new Text(`operator${/^[a-z]/.test(operator.name) ? ' ' : ''}${operator.name}`);
  }

  #substitution(): Node {
    this.expect('S');
    const abbreviation = ABBREVIATIONS[this.look()];
    if (abbreviation) {
      this.at++;
      const node = new Abbreviation(...abbreviation);
      const tagged = this.#withTags(node);
      if (tagged !== node) this.substitutions.push(tagged);
      return tagged;
    }
    const node = this.substitutions[this.#sequence(36)];
    if (!node) throw new DemangleError();
    return node;
  }

  /// `_` is 0, `0_` is 1, …
  #sequence(base: 10 | 36): number {
    const start = this.at;
    const digit = base === 36 ? /[0-9A-Z]/ : /[0-9]/;
    while (digit.test(this.look())) this.at++;
    const digits = this.text.slice(start, this.at);
    this.expect('_');
    return digits === '' ? 0 : Number.parseInt(digits, base) + 1;
  }

  templateParameter(): Node {
    this.expect('T');
    let level = 0;
    if (this.eat('L')) level = this.#sequence(10) + 1;
    const index = this.#sequence(10);
    if (this.#permitForward && level === 0) {
      const parameter = new Parameter();
      this.#forward.push({ index, parameter });
      return parameter;
    }
    const node = this.#parameters[level]?.[index];
    if (node) return node;
    if (level === this.#lambdaLevel && level <= this.#parameters.length) return new Text('auto');
    throw new DemangleError();
  }

  #templateArguments(tag: boolean): Node {
    this.expect('I');
    const level: Node[] = [];
    if (tag) this.#parameters = [level];
    const nodes: Node[] = [];
    let requires: Node | undefined;
    const takeArguments = this.#takeArguments;
    this.#takeArguments = true;
    this.until('E', () => {
      if (this.look() === 'Q') {
        requires = this.#constraint();
        return;
      }
      const outer = this.#parameters;
      if (tag) this.#parameters = [];
      const node = this.templateArgument();
      this.#parameters = outer;
      nodes.push(node);
      level.push(node instanceof Arguments ? node.pack : node);
    });
    this.#takeArguments = takeArguments;
    const list = new List('<', nodes, '>');
    return requires ? new Sequence(list, ' requires ', requires) : list;
  }

  templateArgument(): Node {
    return this.nested(() => {
      if (this.eat('X')) {
        const expression = parseExpression(this);
        this.expect('E');
        return expression;
      }
      if (this.eat('J')) {
        const nodes: Node[] = [];
        this.until('E', () => nodes.push(this.templateArgument()));
        return new Arguments(nodes);
      }
      if (this.look() === 'L') return literal(this);
      if (this.look() === 'T' && 'yntpk'.includes(this.look(1))) {
        this.#templateParameterDeclaration([]);
        return this.templateArgument();
      }
      return this.type();
    });
  }

  // Types

  type(): Node {
    return this.nested(() => {
      const type = this.#plainType();
      if (type) return type;
      const compound = this.#compoundType();
      this.substitutions.push(compound);
      return compound;
    });
  }

  /// A type that no substitution refers to, or that is one.
  #plainType(): Node | undefined {
    const builtin = BUILTINS[this.look()];
    if (builtin) {
      this.at++;
      return new Text(builtin);
    }
    const twoLetters = this.look() === 'D' ? D_BUILTINS[this.look(1)] : undefined;
    if (twoLetters) {
      this.at += 2;
      return new Text(twoLetters);
    }
    if (this.eat('DF')) {
      const bits = this.number();
      if (this.eat('b')) return new Text(bits === '16' ? 'std::bfloat16_t' : `std::bfloat${bits}_t`);
      if (this.eat('x')) return new Text(`_Float${bits}x`);
      this.expect('_');
      return new Text(`_Float${bits}`);
    }
    if (this.look() === 'D' && 'BU'.includes(this.look(1))) {
      const sign = this.look(1) === 'U' ? 'unsigned ' : '';
      this.at += 2;
      const bits = isDigit(this.look()) ? new Text(this.number()) : parseExpression(this);
      this.expect('_');
      return new Sequence(`${sign}_BitInt(`, bits, ')');
    }
    if (this.look() === 'S' && this.look(1) !== 't') {
      const node = this.#substitution();
      if (!this.#takeArguments || this.look() !== 'I') return node;
      const type = this.#withArguments(node, undefined);
      this.substitutions.push(type);
      return type;
    }
    return undefined;
  }

  #compoundType(): Node {
    switch (this.look()) {
      case 'r':
      case 'V':
      case 'K': {
        const start = this.at;
        const qualifiers = this.#cvQualifiers();
        if (this.#atFunctionType()) {
          this.at = start;
          return this.#functionType();
        }
        return new Qualified(this.type(), qualifiers);
      }
      case 'U':
        return this.#vendorQualified();
      case 'u': {
        this.at++;
        const name = new Text(this.sourceName());
        if (this.look() !== 'I') return name;
        const nodes: Node[] = [];
        this.at++;
        this.until('E', () => nodes.push(this.templateArgument()));
        return new Sequence(name, new List('(', nodes, ')'));
      }
      case 'F':
        return this.#functionType();
      case 'A':
        return this.#arrayType();
      case 'M': {
        this.at++;
        const owner = this.type();
        return new Pointer(this.type(), owner);
      }
      case 'P':
        this.at++;
        return new Pointer(this.type(), '*');
      case 'R':
        this.at++;
        return new Pointer(this.type(), '&');
      case 'O':
        this.at++;
        return new Pointer(this.type(), '&&');
      case 'C':
        this.at++;
        return new Qualified(this.type(), ' complex');
      case 'G':
        this.at++;
        return new Qualified(this.type(), ' imaginary');
      case 'T':
        return this.#typeParameter();
      case 'D':
        return this.#extendedType();
      default:
        return this.name();
    }
  }

  #typeParameter(): Node {
    const elaborated = { s: 'struct ', u: 'union ', e: 'enum ' }[this.look(1)];
    if (elaborated) {
      this.at += 2;
      return new Sequence(elaborated, this.name());
    }
    const parameter = this.templateParameter();
    if (!this.#takeArguments || this.look() !== 'I') return parameter;
    this.substitutions.push(parameter);
    return this.#withArguments(parameter, undefined);
  }

  #extendedType(): Node {
    if (this.#atDecltype()) return this.#decltype();
    if (this.#atFunctionType()) return this.#functionType();
    if (this.eat('Dp')) return new Expansion(this.type());
    if (this.eat('Dk')) return new Sequence(this.name(), ' auto');
    if (this.eat('DK')) return new Sequence(this.name(), ' decltype(auto)');
    if (this.eat('Dv')) {
      const size = isDigit(this.look())
        ? new Text(this.number())
        : this.eat('_') // an expression stands between two underscores
          ? parseExpression(this)
          : undefined;
      this.expect('_');
      if (!size) throw new DemangleError();
      const element = this.eat('p') ? new Text('pixel') : this.type();
      return new Sequence(element, ' vector[', size, ']');
    }
    return this.name();
  }

  #cvQualifiers(): string {
    const restrict = this.eat('r') ? ' restrict' : '';
    const volatile = this.eat('V') ? ' volatile' : '';
    const constant = this.eat('K') ? ' const' : '';
    return constant + volatile + restrict;
  }

  #vendorQualified(): Node {
    this.expect('U');
    const qualifier = this.sourceName();
    const args = this.look() === 'I' ? this.#templateArguments(false) : new Text('');
    const type = this.type();
    return new Sequence(type, ` ${qualifier}`, args);
  }

  #atFunctionType(): boolean {
    return this.look() === 'F' || (this.look() === 'D' && this.look(1) !== '' && 'oOwx'.includes(this.look(1)));
  }

  #functionType(): Node {
    let qualifiers = this.#cvQualifiers();
    const exceptions: (string | Node)[] = [];
    if (this.eat('Do')) exceptions.push(' noexcept');
    else if (this.eat('DO')) {
      exceptions.push(' noexcept(', parseExpression(this), ')');
      this.expect('E');
    } else if (this.eat('Dw')) {
      const types: Node[] = [];
      this.until('E', () => types.push(this.type()));
      exceptions.push(' throw', new List('(', types, ')'));
    }
    this.eat('Dx');
    this.expect('F');
    this.eat('Y');
    const result = this.type();
    const parameters: Node[] = [];
    this.until('E', () => {
      if (this.eat('v')) return;
      if (this.eat('RE')) {
        qualifiers += ' &';
        this.at--;
      } else if (this.eat('OE')) {
        qualifiers += ' &&';
        this.at--;
      } else parameters.push(this.type());
    });
    const after = exceptions.length > 0 ? new Sequence(qualifiers, ...exceptions) : qualifiers;
    return new FunctionType({ result, parameters, qualifiers: after });
  }

  #arrayType(): Node {
    this.expect('A');
    let size: Node | undefined;
    if (isDigit(this.look())) size = new Text(this.number());
    else if (this.look() !== '_') size = parseExpression(this);
    this.expect('_');
    return new ArrayType(this.type(), size);
  }

  #atDecltype(): boolean {
    return this.look() === 'D' && (this.look(1) === 't' || this.look(1) === 'T');
  }

  #decltype(): Node {
    this.at += 2;
    const expression = parseExpression(this);
    this.expect('E');
    return new Sequence('decltype(', expression, ')');
  }
}

/// The arguments for a parameter pack, as they stand in a list of arguments; `pack` is what parameters refer to.
class Arguments extends List {
  readonly pack: Pack;
  constructor(nodes: readonly Node[]) {
    super('', nodes, '');
    this.pack = new Pack(nodes);
  }
}

const isDigit = (character: string): boolean => character >= '0' && character <= '9' && character !== '';
