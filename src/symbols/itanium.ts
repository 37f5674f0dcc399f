// C++ names as the Itanium ABI mangles them, which is everywhere but in Microsoft's compiler.

import type { Demangled } from './demangle.ts';
import { Declaration, DemangleError, Nested, type Node, Printer, Special, Suffixed } from './itanium-nodes.ts';
import { Parser } from './itanium-parser.ts';

/// Some platforms put an underscore in front of every symbol; blocks have three more, and a suffix.
const PREFIX = /^_{1,4}Z/;
const BLOCK = /^_block_invoke(?:_?\d+)?$/;

/// Undefined for what is no mangled C++ name.
export function demangleItanium(symbol: string): Demangled | undefined {
  const prefix = PREFIX.exec(symbol)?.[0];
  if (prefix === undefined) return undefined;
  try {
    const parser = new Parser(symbol, prefix.length);
    const node = parser.encoding();
    const rest = symbol.slice(parser.at);
    if (rest === '') return forms(node, '', '');
    if (prefix.length > 3 && BLOCK.test(rest)) return forms(node, 'invocation function for block in ', '');
    // Copies that a compiler made of a function: `.llvm.123`, `.cold`, `.isra.0`.
    return rest.startsWith('.') && rest.length > 1 ? forms(node, '', ` (${rest})`) : undefined;
  } catch (error) {
    if (error instanceof DemangleError) return undefined;
    throw error;
  }
}

function forms(node: Node, before: string, after: string): Demangled {
  const signature = before + print(node) + after;
  const name = before + print(withoutParameters(node)) + after;
  return { name, signature };
}

const print = (node: Node): string => new Printer().whole(node).text;

function withoutParameters(node: Node): Node {
  if (node instanceof Declaration) return withoutResults(node.name);
  return node instanceof Special ? new Special(node.what, withoutParameters(node.of)) : node;
}

/// A name inside a function has that function's declaration for its scope. Its parameters tell overloads apart, its result nothing.
function withoutResults(node: Node): Node {
  if (node instanceof Nested) return new Nested(withoutResults(node.scope), node.name);
  if (node instanceof Suffixed) return new Suffixed(withoutResults(node.name), node.suffix);
  if (!(node instanceof Declaration)) return node;
  return new Declaration(withoutResults(node.name), { ...node.parts, result: undefined });
}
