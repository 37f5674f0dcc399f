// Tree-sitter: dynamic linking. The runtime is one position-independent module, each grammar a side module that shares
// its memory and table; both import what they call from JavaScript, and grammars call back into the runtime.
import type { Language, Node, Parser, Query, Tree } from 'web-tree-sitter';
import {
  type Bytes,
  bytesOf,
  digest,
  type InstantiateWasm,
  outcome,
  type Program,
  requireFresh,
  textOf,
  throughGlobal,
  throughHook,
} from './program.ts';

interface Package {
  Parser: { new (): Parser; init(options: { instantiateWasm: InstantiateWasm }): Promise<void> };
  Language: { load(bytes: Uint8Array): Promise<Language> };
  Query: new (language: Language, source: string) => Query;
}

const wasm = (): Bytes => bytesOf('web-tree-sitter/web-tree-sitter.wasm');

export const treeSitter: Program = {
  name: 'tree-sitter',
  package: 'web-tree-sitter',
  language: 'C',
  wasm,
  async start(instantiate) {
    const { Parser, Language, Query } = requireFresh('web-tree-sitter') as Package;
    await throughHook(instantiate, wasm(), (instantiateWasm) => Parser.init({ instantiateWasm }));
    const grammar = bytesOf('@vscode/tree-sitter-wasm/wasm/tree-sitter-javascript.wasm');
    const language = await throughGlobal(instantiate, grammar, () => Language.load(grammar));
    const source = textOf('web-tree-sitter/web-tree-sitter.cjs');
    return {
      run(scale = 1) {
        const parser = new Parser();
        parser.setLanguage(language);
        const query = new Query(language, QUERY);
        const lines: string[] = [];
        for (let part = 0; part < 4 * scale; part++) {
          const text = source.slice((part % 4) * 20_000, (part % 4) * 20_000 + 20_000);
          const tree = parser.parse(text)!;
          lines.push(describe(tree, query), edit(parser, tree, text));
          tree.delete();
        }
        query.delete();
        parser.delete();
        lines.push(outcome(() => new Query(language, '(no_such_node) @x')));
        lines.push(outcome(() => new Query(language, '((identifier) @x')));
        return lines.join('\n');
      },
    };
  },
};

const QUERY = `
  (function_declaration name: (identifier) @function)
  (call_expression function: (member_expression property: (property_identifier) @method))
  ((identifier) @constant (#match? @constant "^[A-Z][A-Z_]+$"))
  (assignment_expression left: (_) @target right: (_) @value)`;

function describe(tree: Tree, query: Query): string {
  const kinds = new Map<string, number>();
  const cursor = tree.walk();
  let deepest = 0;
  for (let done = false; !done; ) {
    kinds.set(cursor.nodeType, (kinds.get(cursor.nodeType) ?? 0) + 1);
    deepest = Math.max(deepest, cursor.currentDepth);
    if (cursor.gotoFirstChild()) continue;
    while (!cursor.gotoNextSibling()) {
      if (!cursor.gotoParent()) {
        done = true;
        break;
      }
    }
  }
  cursor.delete();
  const captures = query
    .captures(tree.rootNode)
    .map(({ name, node }) => `${name} ${place(node)} ${node.text.slice(0, 40)}`);
  return `depth ${deepest}, kinds ${JSON.stringify([...kinds].sort())}, captures ${captures.length} ${digest(captures.join('\n'))}, tree ${digest(tree.rootNode.toString())}`;
}

/// Parses again after an edit in the middle, which reuses what did not change.
function edit(parser: Parser, tree: Tree, text: string): string {
  const at = text.indexOf(';', text.length >> 1) + 1;
  const inserted = ' if (x) { y([`z`]); }';
  const startPosition = positionOf(text, at);
  tree.edit({
    startIndex: at,
    oldEndIndex: at,
    newEndIndex: at + inserted.length,
    startPosition,
    oldEndPosition: startPosition,
    newEndPosition: { row: startPosition.row, column: startPosition.column + inserted.length },
  } as Parameters<Tree['edit']>[0]);
  const next = parser.parse(text.slice(0, at) + inserted + text.slice(at), tree)!;
  const changed = tree.getChangedRanges(next).map((range) => `${range.startIndex}-${range.endIndex}`);
  const result = `edited ${digest(next.rootNode.toString())}, changed ${changed}, errors ${next.rootNode.hasError}`;
  next.delete();
  return result;
}

function positionOf(text: string, index: number): { row: number; column: number } {
  const before = text.slice(0, index).split('\n');
  return { row: before.length - 1, column: before[before.length - 1].length };
}

function place(node: Node): string {
  return `${node.startPosition.row}:${node.startPosition.column}`;
}
