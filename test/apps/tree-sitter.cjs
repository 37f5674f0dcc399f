// web-tree-sitter's debug build, with names and DWARF, and a grammar that it links dynamically.
const { readFileSync } = require('node:fs');
const { Language, Parser } = require('web-tree-sitter/debug');

async function main() {
  await Parser.init();
  const grammar = require.resolve('@vscode/tree-sitter-wasm/wasm/tree-sitter-javascript.wasm');
  const parser = new Parser();
  parser.setLanguage(await Language.load(readFileSync(grammar)));
  const tree = parser.parse(readFileSync(__filename, 'utf8'));
  const kinds = new Map();
  const visit = (node) => {
    kinds.set(node.type, (kinds.get(node.type) ?? 0) + 1);
    for (let i = 0; i < node.childCount; i++) visit(node.child(i));
  };
  visit(tree.rootNode);
  console.log(JSON.stringify([...kinds].sort().slice(0, 12)));
  console.log(parser.parse('let = = 1').rootNode.toString());
}

main();
