// Expressions in mangled C++ names (Itanium C++ ABI §5.1.6): what template arguments, decltype and constraints contain. A code
// of two letters, then the operands.

import {
  DemangleError,
  Expansion,
  List,
  Nested,
  type Node,
  Operand,
  Operation,
  Sequence,
  Suffixed,
  Text,
} from './itanium-nodes.ts';
import type { Parser } from './itanium-parser.ts';
import { BUILTINS, LITERAL_SUFFIXES, OPERATORS } from './itanium-tables.ts';

export function parseExpression(p: Parser): Node {
  return p.nested(() => {
    const global = p.eat('gs') ? '::' : '';
    const node = special(p, global) ?? operation(p, global);
    return node ?? unresolvedName(p, global);
  });
}

const operand = (p: Parser): Node => new Operand(parseExpression(p));

function listUntil(p: Parser, end: string, parse: () => Node = () => parseExpression(p)): Node[] {
  const nodes: Node[] = [];
  p.until(end, () => nodes.push(parse()));
  return nodes;
}

/// What is not an operator with operands.
function special(p: Parser, global: string): Node | undefined {
  if (p.look() === 'L') return literal(p);
  if (p.look() === 'T') return p.templateParameter();
  if (p.look() === 'f') return p.look(1) === 'p' || /\d/.test(p.look(2)) ? functionParameter(p) : fold(p);
  if (p.eat('il'))
    return new List(
      '{',
      listUntil(p, 'E', () => initializer(p)),
      '}',
    );
  if (p.eat('tl'))
    return new Sequence(
      p.type(),
      new List(
        '{',
        listUntil(p, 'E', () => initializer(p)),
        '}',
      ),
    );
  if (p.eat('cl')) return new Sequence(operand(p), new List('(', listUntil(p, 'E'), ')'));
  if (p.eat('cp')) return new Sequence('(', parseExpression(p), ')', new List('(', listUntil(p, 'E'), ')'));
  if (p.eat('cv')) {
    const type = p.type();
    const values = p.eat('_') ? listUntil(p, 'E') : [parseExpression(p)];
    return new Operation('(', type, ')', new List('(', values, ')'));
  }
  if (p.eat('nw')) return allocation(p, `${global}new `);
  if (p.eat('na')) return allocation(p, `${global}new[] `);
  if (p.eat('dl')) return new Operation(`${global}delete `, operand(p));
  if (p.eat('da')) return new Operation(`${global}delete[] `, operand(p));
  if (p.eat('sZ')) {
    const pack = p.look() === 'T' ? p.templateParameter() : functionParameter(p);
    return new Sequence('sizeof...(', new Expansion(pack), ')');
  }
  if (p.eat('sP'))
    return new List(
      'sizeof...(',
      listUntil(p, 'E', () => p.templateArgument()),
      ')',
    );
  if (p.eat('sp')) return new Expansion(parseExpression(p));
  if (p.eat('tw')) return new Operation('throw ', parseExpression(p));
  if (p.eat('tr')) return new Text('throw');
  if (p.eat('so')) return subobject(p);
  if (p.eat('mc')) return conversion(p);
  if (p.eat('rq')) return requirements(p, false);
  if (p.eat('rQ')) return requirements(p, true);
  if (p.eat('u'))
    return new Sequence(
      p.sourceName(),
      new List(
        '(',
        listUntil(p, 'E', () => p.templateArgument()),
        ')',
      ),
    );
  return undefined;
}

function operation(p: Parser, global: string): Node | undefined {
  const code = p.look() + p.look(1);
  const operator = Object.hasOwn(OPERATORS, code) ? OPERATORS[code] : undefined;
  if (!operator) return undefined;
  p.eat(code);
  const { kind, sign } = operator;
  switch (kind) {
    case 'prefix':
      return new Operation(global, /^\w/.test(sign) ? `${sign} ` : sign, operand(p));
    case 'increment':
      return p.eat('_') ? new Operation(sign, operand(p)) : new Sequence(operand(p), sign);
    case 'member':
      return new Sequence(operand(p), sign, operand(p));
    case 'cast':
      return new Sequence(`${sign}<`, p.type(), '>(', parseExpression(p), ')');
    case 'of type':
      return new Sequence(`${sign}(`, p.type(), ')');
    case 'of expression':
      return new Sequence(`${sign}(`, parseExpression(p), ')');
    case 'binary': {
      const sum = new Operation(operand(p), sign === ',' ? ', ' : ` ${sign} `, operand(p));
      // It would end a list of template arguments.
      return sign.startsWith('>') ? new Sequence('(', sum, ')') : sum;
    }
    default:
      if (sign === '[]') return new Sequence(operand(p), '[', parseExpression(p), ']');
      if (sign === '?') return new Operation(operand(p), ' ? ', operand(p), ' : ', operand(p));
      throw new DemangleError();
  }
}

/// The parameter of the function around: `fp` the first, `fp0_` the second; `fL1p` those of the function outside that.
function functionParameter(p: Parser): Node {
  if (p.eat('fpT')) return new Text('this');
  if (p.eat('fL')) {
    p.number();
    p.expect('p');
  } else {
    p.expect('fp');
  }
  while ('rVK'.includes(p.look()) && p.look() !== '') p.at++;
  const number = p.number();
  p.expect('_');
  return new Text(`fp${number}`);
}

function fold(p: Parser): Node {
  const kind = p.look(1);
  p.at += 2;
  const operator = OPERATORS[p.look() + p.look(1)];
  if (!operator || !'lrLR'.includes(kind)) throw new DemangleError();
  p.at += 2;
  const first = operand(p);
  const { sign } = operator;
  if (kind === 'l') return new Sequence(`(... ${sign} `, first, ')');
  if (kind === 'r') return new Sequence('(', first, ` ${sign} ...)`);
  return new Sequence('(', first, ` ${sign} ... ${sign} `, operand(p), ')');
}

/// An element of a braced list: perhaps designated.
function initializer(p: Parser): Node {
  return p.nested(() => {
    if (p.eat('di')) return designated(p, new Sequence('.', p.sourceName()));
    if (p.eat('dx')) return designated(p, new Sequence('[', parseExpression(p), ']'));
    if (p.eat('dX')) {
      const first = parseExpression(p);
      return designated(p, new Sequence('[', first, ' ... ', parseExpression(p), ']'));
    }
    return parseExpression(p);
  });
}

function designated(p: Parser, designator: Node): Node {
  const more = p.look() === 'd' && 'ixX'.includes(p.look(1)) && p.look(1) !== '';
  return new Sequence(designator, more ? '' : ' = ', initializer(p));
}

function allocation(p: Parser, keyword: string): Node {
  const placement = listUntil(p, '_');
  const type = p.type();
  const parts: (string | Node)[] = [keyword.trimEnd()];
  if (placement.length > 0) parts.push(new List('(', placement, ')'));
  parts.push(' ', type);
  if (p.eat('pi')) parts.push(new List('(', listUntil(p, 'E'), ')'));
  else if (p.look() === 'i') parts.push(parseExpression(p));
  else p.expect('E');
  return new Operation(...parts);
}

function subobject(p: Parser): Node {
  const type = p.type();
  const of = operand(p);
  const offset = p.number(true) || '0';
  while (p.eat('_')) p.number();
  p.eat('p');
  p.expect('E');
  return new Sequence(of, '.<', type, ` at offset ${offset}>`);
}

function conversion(p: Parser): Node {
  const type = p.type();
  const of = parseExpression(p);
  p.number(true);
  p.expect('E');
  return new Operation('(', type, ')(', of, ')');
}

function requirements(p: Parser, withParameters: boolean): Node {
  const parameters: Node[] = [];
  if (withParameters) p.until('_', () => parameters.push(p.type()));
  const parts: (string | Node)[] = ['requires '];
  if (withParameters) parts.push(new List('(', parameters, ') '));
  parts.push('{');
  p.until('E', () => {
    if (p.eat('X')) {
      const expression = parseExpression(p);
      const noexcept = p.eat('N') ? ' noexcept' : '';
      const constraint = p.eat('R') ? [' -> ', p.name()] : [];
      const braced = noexcept !== '' || constraint.length > 0;
      parts.push(braced ? ' {' : ' ', expression, braced ? '}' : '', noexcept, ...constraint, ';');
    } else if (p.eat('T')) {
      parts.push(' typename ', p.type(), ';');
    } else {
      p.expect('Q');
      parts.push(' requires ', parseExpression(p), ';');
    }
  });
  parts.push(' }');
  return new Operation(...parts);
}

/// A name that depends on template parameters, so that it was not looked up yet.
function unresolvedName(p: Parser, global: string): Node {
  const withGlobal = (node: Node): Node => (global === '' ? node : new Sequence(global, node));
  if (!p.eat('sr')) return withGlobal(baseName(p));
  let scope: Node | undefined;
  const part = (): void => {
    const name = simpleName(p);
    scope = scope ? new Nested(scope, name) : withGlobal(name);
  };
  if (p.eat('N')) {
    scope = unresolvedType(p);
    p.until('E', part);
  } else if (/\d/.test(p.look())) {
    p.until('E', part);
  } else {
    scope = unresolvedType(p);
  }
  return new Nested(scope!, baseName(p));
}

function unresolvedType(p: Parser): Node {
  return p.type();
}

function simpleName(p: Parser): Node {
  return withArguments(p, new Text(p.sourceName()));
}

function withArguments(p: Parser, name: Node): Node {
  if (!p.eat('I')) return name;
  return new Suffixed(
    name,
    new List(
      '<',
      listUntil(p, 'E', () => p.templateArgument()),
      '>',
    ),
  );
}

function baseName(p: Parser): Node {
  if (/\d/.test(p.look())) return simpleName(p);
  if (p.eat('dn')) return new Sequence('~', /\d/.test(p.look()) ? simpleName(p) : unresolvedType(p));
  p.eat('on');
  return withArguments(p, p.operatorName());
}

/// `L type value E`, `L mangled-name E`.
export function literal(p: Parser): Node {
  p.expect('L');
  if (p.eat('_Z') || p.eat('Z')) {
    const encoding = p.encoding();
    p.expect('E');
    return encoding;
  }
  const code = p.look();
  if (p.eat('b0E')) return new Text('false');
  if (p.eat('b1E')) return new Text('true');
  if (p.eat('Dn')) {
    p.eat('0');
    p.expect('E');
    return new Text('nullptr');
  }
  if (code === 'A') {
    const type = p.type();
    p.expect('E');
    return new Sequence('"<', type, '>"');
  }
  if ('fde'.includes(code) && /^.[0-9a-f]/.test(p.text.slice(p.at, p.at + 2))) return floatingPoint(p);
  const suffix = LITERAL_SUFFIXES[code];
  if (suffix !== undefined) {
    p.at++;
    const value = p.number(true);
    if (value === '') throw new DemangleError();
    p.expect('E');
    return new Text(value + suffix);
  }
  const type = p.type();
  const value = p.number(true);
  p.expect('E');
  return value === '' ? new Sequence(type, '{...}') : new Sequence('(', type, `)${value}`);
}

const FLOAT_DIGITS: Readonly<Record<string, number>> = { f: 8, d: 16, e: 20 };

/// The bytes of the value in hexadecimal, the highest first.
function floatingPoint(p: Parser): Node {
  const code = p.look();
  const length = FLOAT_DIGITS[code];
  const digits = p.text.slice(p.at + 1, p.at + 1 + length);
  if (digits.length < length || /[^0-9a-f]/.test(digits)) throw new DemangleError();
  p.at += 1 + length;
  p.expect('E');
  if (code === 'e') return new Text(`(${BUILTINS.e})0x${digits}`);
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${digits.padEnd(16, '0')}`));
  return new Text(code === 'f' ? `${view.getFloat32(0)}f` : String(view.getFloat64(0)));
}
