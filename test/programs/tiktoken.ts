// A tokenizer in Rust by wasm-bindgen: regular expressions and hash maps, strings copied in and out, objects of the
// host held in a table of the glue, and errors that a JavaScript import throws through the module's frames.
import { type Bytes, bytesOf, digest, outcome, type Program, requireFresh, textOf } from './program.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

const wasm = (): Bytes => bytesOf('tiktoken/lite/tiktoken_bg.wasm');

export const tiktoken: Program = {
  name: 'tiktoken',
  package: 'tiktoken',
  language: 'Rust',
  wasm,
  async start(instantiate) {
    const { init, Tiktoken } = requireFresh('tiktoken/lite/init') as typeof import('tiktoken/lite/init');
    await init((imports) => instantiate(wasm(), imports));
    const model = JSON.parse(textOf('tiktoken/encoders/cl100k_base.json'));
    const encoder = new Tiktoken(model.bpe_ranks, model.special_tokens, model.pat_str);
    const source = `${textOf('web-tree-sitter/README.md')} Ünïcode – 漢字かな交じり文 🙂 1234567 \t\r\n`;
    return {
      run(scale = 1) {
        const lines: string[] = [];
        for (let round = 0; round < 48 * scale; round++) {
          const text = source.slice((round * 331) % 2000);
          const tokens = encoder.encode(text);
          const back = new TextDecoder().decode(encoder.decode(tokens));
          lines.push(`${tokens.length} tokens ${digest(new Uint8Array(tokens.slice().buffer))} ${back === text}`);
        }
        lines.push(`single ${encoder.encode_single_token(utf8('hello'))} ${encoder.encode_ordinary('<|endoftext|>')}`);
        lines.push(`special ${encoder.encode('a<|endoftext|>b', 'all')}`);
        lines.push(outcome(() => encoder.encode('a<|endoftext|>b')));
        // Thrown through the module's frames, which leaves the object borrowed for ever: it could not be freed again.
        lines.push(outcome(() => encoder.encode_single_token(utf8('not one token'))));
        lines.push(outcome(() => new Tiktoken('not ranks', {}, 'x')));
        lines.push(outcome(() => new Tiktoken('', {}, '(unclosed')));
        return lines.join('\n');
      },
    };
  },
};
