// Oniguruma, the regular expressions of TextMate grammars: backtracking in one large matching loop, a function table of
// character encodings, and many short calls from JavaScript.
import { type Bytes, bytesOf, digest, outcome, type Program, requireFresh, textOf } from './program.ts';

const wasm = (): Bytes => bytesOf('vscode-oniguruma/release/onig.wasm');

export const oniguruma: Program = {
  name: 'oniguruma',
  package: 'vscode-oniguruma',
  language: 'C',
  wasm,
  async start(instantiate) {
    const onig = requireFresh('vscode-oniguruma') as typeof import('vscode-oniguruma');
    await onig.loadWASM({ instantiator: (imports) => instantiate(wasm(), imports ?? {}), print() {} });
    const source = textOf('web-tree-sitter/web-tree-sitter.cjs').split('\n');
    return {
      run(scale = 1) {
        const scanner = new onig.OnigScanner(PATTERNS);
        const found: string[] = [];
        for (let line = 0; line < 8000 * scale; line++) {
          const text = new onig.OnigString(source[line % source.length]);
          for (let at = 0, match = scanner.findNextMatchSync(text, 0); match; ) {
            const [whole, ...groups] = match.captureIndices;
            found.push(`${line}:${match.index}:${whole.start}-${whole.end}:${groups.map((group) => group.start)}`);
            at = Math.max(whole.end, at + 1);
            match = scanner.findNextMatchSync(text, at);
          }
          text.dispose();
        }
        scanner.dispose();
        const lines = [`matches ${found.length} ${digest(found.join('\n'))}`, ...found.slice(0, 5)];
        // Backtracks until the engine's own limit ends it, not the stack's.
        lines.push(outcome(() => match(onig, '(a|a|b)*(a|b)*(c|a)*d', 'a'.repeat(13))));
        lines.push(outcome(() => match(onig, '\\p{Greek}+(?<n>\\d{2,})\\k<n>', 'xx αβγ2323')));
        for (const mistake of ['(', '[z-a]', '(?<n', '\\k<unknown>', 'a{3,1}?+*']) {
          lines.push(`${mistake}: ${outcome(() => match(onig, mistake, 'aaa'))}`);
        }
        return lines.join('\n');
      },
    };
  },
};

const PATTERNS = [
  '\\b(?:function|class|return|if|else|for|while|var|let|const|new|typeof|await|async|throw)\\b',
  '(["\'])(?:\\\\.|(?!\\1).)*\\1',
  '//.*$|/\\*.*?\\*/',
  '(?<![\\w$])([A-Z][\\w$]*)(?=\\s*\\()',
  '\\b(?:0x[0-9a-f]+|\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)\\b',
  '([\\w$]+)\\s*(?==\\s*(?:async\\s*)?(?:function\\b|\\([^()]*\\)\\s*=>))',
  '(?<=\\.)(\\p{L}[\\p{L}\\p{N}_]*)(?=\\()',
];

function match(onig: typeof import('vscode-oniguruma'), pattern: string, text: string): string {
  const scanner = new onig.OnigScanner([pattern]);
  const found = scanner.findNextMatchSync(text, 0);
  scanner.dispose();
  return JSON.stringify(found);
}
