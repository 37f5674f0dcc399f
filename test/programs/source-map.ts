// Mozilla's source-map decoder: a small Rust module without wasm-bindgen, which hands every mapping to JavaScript through
// its one import, tens of thousands of calls outwards in a single call inwards.
import type { BasicSourceMapConsumer } from 'source-map';
import { type Bytes, bytesOf, digest, outcome, type Program, requireFresh, textOf, throughGlobal } from './program.ts';

const wasm = (): Bytes => bytesOf('source-map/lib/mappings.wasm');

export const sourceMap: Program = {
  name: 'source-map',
  package: 'source-map',
  language: 'Rust',
  wasm,
  async start(instantiate) {
    const { SourceMapConsumer } = requireFresh('source-map') as typeof import('source-map');
    const map = JSON.parse(textOf('assemblyscript/dist/assemblyscript.js.map'));
    const open = (mappings: string) =>
      throughGlobal(
        instantiate,
        wasm(),
        () => new SourceMapConsumer({ ...map, mappings }),
      ) as Promise<BasicSourceMapConsumer>;
    const [whole, broken] = [await open(map.mappings), await open(`${map.mappings.slice(0, 999)}!`)];
    return {
      run(scale = 1) {
        const lines: string[] = [];
        for (let round = 0; round < 3 * scale; round++) {
          lines.push(read(whole, SourceMapConsumer.ORIGINAL_ORDER, round));
          // Frees the decoded mappings, so that the next reader decodes again.
          whole.destroy();
        }
        lines.push(outcome(() => read(broken, SourceMapConsumer.GENERATED_ORDER, 0)));
        broken.destroy();
        return lines.join('\n');
      },
    };
  },
};

function read(map: BasicSourceMapConsumer, order: number, round: number): string {
  let count = 0;
  let sum = 0;
  map.eachMapping(
    (mapping) => {
      count++;
      sum =
        (sum * 31 + mapping.generatedColumn + (mapping.originalLine ?? 7) * 3 + (mapping.name?.length ?? 0)) %
        1_000_003;
    },
    null,
    order,
  );
  const places: string[] = [];
  for (let line = 1 + round; line < 40_000; line += 13) {
    const {
      source,
      line: at,
      column,
      name,
    } = map.originalPositionFor({ line: 1 + (line % 40_000), column: line % 60 });
    places.push(`${source}:${at}:${column} ${name}`);
    if (source && at) places.push(JSON.stringify(map.generatedPositionFor({ source, line: at, column: column ?? 0 })));
  }
  return `${count} mappings ${sum} ${digest(places.join('\n'))} ${places[3]}`;
}
