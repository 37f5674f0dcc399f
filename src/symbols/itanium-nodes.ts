// What a mangled C++ name consists of, and how it is written down.
//
// Declarators of C wrap around what they declare: of `int (*)[3]`, a pointer to an array, `int (*` stands before the name and
// `)[3]` behind it. So each node is printed in two halves, and a name, if there is one, comes between them.
//
// A template parameter pack stands for several nodes. Whoever prints an expansion prints its pattern once per element and keeps
// in the printer which element it is; a pack inside prints that one.

/// Malformed, or longer than anybody wants to read. Caught in `itanium.ts`.
export class DemangleError extends Error {}

const LONGEST = 1 << 16;
const MOST_STEPS = 1 << 16;

export class Printer {
  #text = '';
  #last = '';
  #steps = 0;
  /// Which element of the packs is being printed; −1 outside expansions.
  element = -1;
  /// Length of the packs seen in the expansion being printed; −1 while none was seen.
  elements = -1;

  get text(): string {
    return this.#text;
  }

  get length(): number {
    return this.#text.length;
  }

  endsWith(character: string): boolean {
    return this.#last === character;
  }

  add(text: string): this {
    if (text === '') return this;
    this.#text += text;
    this.#last = text[text.length - 1];
    if (this.#text.length > LONGEST) throw new DemangleError();
    return this;
  }

  /// Repeated substitutions make a short name grow exponentially, with or without text.
  step(): void {
    if (++this.#steps > MOST_STEPS) throw new DemangleError();
  }

  /// Drops what was added since the text had this length.
  truncate(length: number): void {
    this.#text = this.#text.slice(0, length);
    this.#last = this.#text.at(-1) ?? '';
  }

  whole(node: Node): this {
    this.step();
    node.left(this);
    node.right(this);
    return this;
  }

  /// `a, b, c`; an expansion of an empty pack leaves no comma.
  list(nodes: readonly Node[]): this {
    let first = true;
    for (const node of nodes) {
      const before = this.length;
      if (!first) this.add(', ');
      const start = this.#text.length;
      this.whole(node);
      if (this.#text.length === start) this.truncate(before);
      else first = false;
    }
    return this;
  }
}

export type Declarator = 'array' | 'function' | undefined;

export abstract class Node {
  abstract left(out: Printer): void;
  right(_out: Printer): void {}
  /// Arrays and functions are written around what refers to them.
  declarator(_out: Printer): Declarator {
    return undefined;
  }
  /// Whether `right` prints something.
  hasRight(out: Printer): boolean {
    return this.declarator(out) !== undefined;
  }
  /// The last part of a name, without template arguments: what constructors are called.
  base(): string {
    throw new DemangleError();
  }
}

export class Text extends Node {
  readonly text: string;
  constructor(text: string) {
    super();
    this.text = text;
  }
  left(out: Printer): void {
    out.add(this.text);
  }
  override base(): string {
    return this.text;
  }
}

/// `std::string` and its like: short where a type is named, in full where a member is.
export class Abbreviation extends Text {
  readonly full: Text;
  readonly #base: string;
  constructor(text: string, full: string, base: string) {
    super(text);
    this.full = new Abbreviated(full, base);
    this.#base = base;
  }
  override base(): string {
    return this.#base;
  }
}

class Abbreviated extends Text {
  readonly #base: string;
  constructor(full: string, base: string) {
    super(full);
    this.#base = base;
  }
  override base(): string {
    return this.#base;
  }
}

/// Parts one after the other, text or nodes.
export class Sequence extends Node {
  readonly parts: readonly (string | Node)[];
  constructor(...parts: (string | Node)[]) {
    super();
    this.parts = parts;
  }
  left(out: Printer): void {
    for (const part of this.parts) {
      if (typeof part === 'string') out.add(part);
      else out.whole(part);
    }
  }
}

export class List extends Node {
  readonly before: string;
  readonly nodes: readonly Node[];
  readonly after: string;
  constructor(before: string, nodes: readonly Node[], after: string) {
    super();
    this.before = before;
    this.nodes = nodes;
    this.after = after;
  }
  left(out: Printer): void {
    if (this.before === '<' && out.endsWith('<')) out.add(' '); // operator< <int>
    out.add(this.before).list(this.nodes).add(this.after);
  }
}

/// `scope::name`.
export class Nested extends Node {
  readonly scope: Node;
  readonly name: Node;
  constructor(scope: Node, name: Node) {
    super();
    this.scope = scope;
    this.name = name;
  }
  left(out: Printer): void {
    out.whole(this.scope).add('::').whole(this.name);
  }
  override base(): string {
    return this.name.base();
  }
}

/// `name<arguments>`, `name[abi:tag]`.
export class Suffixed extends Node {
  readonly name: Node;
  readonly suffix: Node;
  constructor(name: Node, suffix: Node) {
    super();
    this.name = name;
    this.suffix = suffix;
  }
  left(out: Printer): void {
    out.whole(this.name).whole(this.suffix);
  }
  override base(): string {
    return this.name.base();
  }
}

/// A type with something behind it that belongs to it: `char const`, `float __vector`.
export class Qualified extends Node {
  readonly type: Node;
  readonly qualifiers: string;
  constructor(type: Node, qualifiers: string) {
    super();
    this.type = type;
    this.qualifiers = qualifiers;
  }
  left(out: Printer): void {
    out.step();
    this.type.left(out);
    out.add(this.qualifiers);
  }
  override right(out: Printer): void {
    this.type.right(out);
  }
  override declarator(out: Printer): Declarator {
    return this.type.declarator(out);
  }
  override hasRight(out: Printer): boolean {
    return this.type.hasRight(out);
  }
}

/// `T*`, `T&`, `T&&`, `T C::*`.
export class Pointer extends Node {
  readonly to: Node;
  readonly sign: string | Node;
  constructor(to: Node, sign: string | Node) {
    super();
    this.to = to;
    this.sign = sign;
  }
  left(out: Printer): void {
    out.step();
    const [to, sign] = this.#collapsed(out);
    to.left(out);
    const declarator = to.declarator(out);
    if (declarator === 'array') out.add(' ');
    if (declarator) out.add('(');
    if (typeof sign === 'string') out.add(sign);
    else
      out
        .add(declarator ? '' : ' ')
        .whole(sign)
        .add('::*');
  }
  override right(out: Printer): void {
    const [to] = this.#collapsed(out);
    if (to.declarator(out)) out.add(')');
    to.right(out);
  }
  override hasRight(out: Printer): boolean {
    return this.#collapsed(out)[0].hasRight(out);
  }
  /// A reference to a reference is one: `&&` only if both are.
  #collapsed(out: Printer): [Node, string | Node] {
    let { to, sign } = this as { to: Node; sign: string | Node };
    if (sign !== '&' && sign !== '&&') return [to, sign];
    for (let inner = resolve(to, out); inner instanceof Pointer; inner = resolve(to, out)) {
      if (inner.sign !== '&' && inner.sign !== '&&') break;
      out.step();
      if (inner.sign === '&') sign = '&';
      to = inner.to;
    }
    return [to, sign];
  }
}

/// What stands behind parameters and packs, as far as it is known.
function resolve(node: Node, out: Printer): Node {
  if (node instanceof Parameter && node.value !== undefined) return resolve(node.value, out);
  if (node instanceof Pack) {
    const element = node.current(out);
    if (element !== undefined) return resolve(element, out);
  }
  return node;
}

export class ArrayType extends Node {
  readonly of: Node;
  readonly size: Node | undefined;
  constructor(of: Node, size: Node | undefined) {
    super();
    this.of = of;
    this.size = size;
  }
  left(out: Printer): void {
    out.step();
    this.of.left(out);
  }
  override right(out: Printer): void {
    if (!out.endsWith(']')) out.add(' ');
    out.add('[');
    if (this.size) out.whole(this.size);
    out.add(']');
    this.of.right(out);
  }
  override declarator(): Declarator {
    return 'array';
  }
}

export interface FunctionParts {
  readonly result: Node | undefined;
  readonly parameters: readonly Node[];
  /// ` const volatile`, ` &`, ` noexcept`.
  readonly qualifiers: string | Node;
}

export class FunctionType extends Node {
  readonly parts: FunctionParts;
  constructor(parts: FunctionParts) {
    super();
    this.parts = parts;
  }
  left(out: Printer): void {
    out.step();
    this.parts.result?.left(out);
    out.add(' ');
  }
  override right(out: Printer): void {
    const { result, parameters, qualifiers } = this.parts;
    out.add('(').list(parameters).add(')');
    result?.right(out);
    if (typeof qualifiers === 'string') out.add(qualifiers);
    else out.whole(qualifiers);
  }
  override declarator(): Declarator {
    return 'function';
  }
}

/// A function as it is declared: result, name, parameters. The result is only there for templates.
export class Declaration extends Node {
  readonly name: Node;
  readonly parts: FunctionParts;
  constructor(name: Node, parts: FunctionParts) {
    super();
    this.name = name;
    this.parts = parts;
  }
  left(out: Printer): void {
    const { result, parameters, qualifiers } = this.parts;
    if (result) {
      result.left(out);
      if (!result.hasRight(out)) out.add(' ');
    }
    out.whole(this.name).add('(').list(parameters).add(')');
    result?.right(out);
    if (typeof qualifiers === 'string') out.add(qualifiers);
    else out.whole(qualifiers);
  }
}

/// `vtable for X`, `virtual thunk to X`.
export class Special extends Node {
  readonly what: string;
  readonly of: Node;
  constructor(what: string, of: Node) {
    super();
    this.what = what;
    this.of = of;
  }
  left(out: Printer): void {
    out.add(this.what).whole(this.of);
  }
}

/// A constructor or destructor of the class that was named before.
export class Structor extends Node {
  readonly scope: Node;
  readonly destructor: boolean;
  constructor(scope: Node, destructor: boolean) {
    super();
    this.scope = scope;
    this.destructor = destructor;
  }
  left(out: Printer): void {
    out.add(this.base());
  }
  override base(): string {
    return (this.destructor ? '~' : '') + this.scope.base();
  }
}

/// A template parameter; `value` may come later: the type of a conversion operator precedes the arguments that it speaks of.
export class Parameter extends Node {
  value: Node | undefined;
  #busy = false;
  left(out: Printer): void {
    this.#once((value) => value.left(out), out);
  }
  override right(out: Printer): void {
    this.#once((value) => value.right(out), out);
  }
  override declarator(out: Printer): Declarator {
    let declarator: Declarator;
    this.#once((value) => {
      declarator = value.declarator(out);
    }, out);
    return declarator;
  }
  override hasRight(out: Printer): boolean {
    let has = false;
    this.#once((value) => {
      has = value.hasRight(out);
    }, out);
    return has;
  }
  override base(): string {
    if (this.value === undefined || this.#busy) throw new DemangleError();
    this.#busy = true;
    try {
      return this.value.base();
    } finally {
      this.#busy = false;
    }
  }
  // A parameter that stands for something that contains it is malformed.
  #once(what: (value: Node) => void, out: Printer): void {
    out.step();
    if (this.value === undefined || this.#busy) throw new DemangleError();
    this.#busy = true;
    try {
      what(this.value);
    } finally {
      this.#busy = false;
    }
  }
}

/// The arguments that a parameter pack stands for.
export class Pack extends Node {
  readonly nodes: readonly Node[];
  constructor(nodes: readonly Node[]) {
    super();
    this.nodes = nodes;
  }
  /// The element of the expansion around; outside of one, undefined: then all are printed.
  current(out: Printer): Node | undefined {
    if (out.element < 0) {
      if (out.elements === EXPANDING) out.elements = this.nodes.length;
      return out.elements === -1 ? undefined : this.nodes[0];
    }
    return this.nodes[out.element];
  }
  left(out: Printer): void {
    out.step();
    const node = this.current(out);
    if (node !== undefined) node.left(out);
    else if (out.elements === -1) out.list(this.nodes);
  }
  override right(out: Printer): void {
    this.current(out)?.right(out);
  }
  override declarator(out: Printer): Declarator {
    return this.current(out)?.declarator(out);
  }
  override hasRight(out: Printer): boolean {
    return this.current(out)?.hasRight(out) ?? false;
  }
  override base(): string {
    if (this.nodes.length !== 1) throw new DemangleError();
    return this.nodes[0].base();
  }
}

/// In `Printer.elements`: an expansion has begun and no pack was met.
const EXPANDING = -2;

/// `pattern...`: once per element of the packs in it, with commas between.
export class Expansion extends Node {
  readonly pattern: Node;
  constructor(pattern: Node) {
    super();
    this.pattern = pattern;
  }
  left(out: Printer): void {
    const { element, elements } = out;
    const start = out.length;
    out.element = -1;
    out.elements = EXPANDING;
    out.whole(this.pattern); // tells how many there are
    const count = out.elements;
    if (count === EXPANDING) {
      out.add('...');
    } else {
      if (count === 0) out.truncate(start);
      for (let i = 1; i < count; i++) {
        out.add(', ');
        out.element = i;
        out.whole(this.pattern);
      }
    }
    out.element = element;
    out.elements = elements;
  }
}

/// An expression as an operand: in parentheses unless it is one word.
export class Operand extends Node {
  readonly expression: Node;
  constructor(expression: Node) {
    super();
    this.expression = expression;
  }
  left(out: Printer): void {
    if (this.expression instanceof Operation || this.expression instanceof Declaration)
      out.add('(').whole(this.expression).add(')');
    else out.whole(this.expression);
  }
}

/// An expression made of operators and operands.
export class Operation extends Sequence {}
