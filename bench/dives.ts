// Real programs that can be driven into recursion as deep as one likes: what is nested in the input is nested on the stack.

import variant from '@jitl/quickjs-wasmfile-release-sync';
import {
  type EmscriptenModuleLoaderOptions,
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import { loadBinaryen } from '../test/programs/binaryen.ts';
import {
  bytesOf,
  type Instantiate,
  type InstantiateWasm,
  requireFresh,
  throughGlobal,
  throughHook,
} from '../test/programs/program.ts';
import { quickjs } from '../test/programs/quickjs.ts';
import { sqlite } from '../test/programs/sqlite.ts';
import { treeSitter } from '../test/programs/tree-sitter.ts';

/// Goes so deep and comes back; throws when that is too deep. What it is like after a throw is anybody's guess.
export type Dive = (depth: number) => void;

export interface Diver {
  readonly name: string;
  /// What recurses.
  readonly what: string;
  start(instantiate: Instantiate): Promise<Dive>;
}

function expect(got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`came back with ${String(got)}, expected ${String(expected)}`);
}

export const divers: readonly Diver[] = [
  {
    name: 'quickjs',
    what: 'a JavaScript function calls itself: an interpreter within an interpreter',
    async start(instantiate) {
      const engine = await throughHook(instantiate, quickjs.wasm(), (instantiateWasm) =>
        newQuickJSWASMModuleFromVariant(
          newVariant(variant as unknown as QuickJSSyncVariant, {
            emscriptenModule: { instantiateWasm } as EmscriptenModuleLoaderOptions,
          }),
        ),
      );
      const runtime = engine.newRuntime();
      runtime.setMaxStackSize(0); // no limit of its own
      const context = runtime.newContext();
      return (depth) => {
        const result = context.evalCode(`function down(n) { return n ? 1 + down(n - 1) : 0 } down(${depth})`);
        if (result.error) throw new Error(JSON.stringify(context.dump(result.error)));
        expect(context.getNumber(result.value), depth);
        result.value.dispose();
      };
    },
  },
  {
    name: 'sqlite',
    what: 'a JavaScript function called by SQL queries again, which calls it again',
    async start(instantiate) {
      interface SqlJs {
        Database: new () => {
          exec(sql: string): { values: unknown[][] }[];
          create_function(name: string, fn: (value: number) => number): void;
        };
      }
      const factory = requireFresh('sql.js') as (options: { instantiateWasm: InstantiateWasm }) => Promise<SqlJs>;
      const sql = await throughHook(instantiate, sqlite.wasm(), (instantiateWasm) => factory({ instantiateWasm }));
      const database = new sql.Database();
      const query = (depth: number) => database.exec(`SELECT down(${depth})`)[0].values[0][0] as number;
      database.create_function('down', (depth) => (depth > 0 ? 1 + query(depth - 1) : 0));
      return (depth) => expect(query(depth), depth);
    },
  },
  {
    name: 'tree-sitter',
    what: 'a nested query pattern is parsed',
    async start(instantiate) {
      const { Parser, Language, Query } = requireFresh('web-tree-sitter') as {
        Parser: { init(options: { instantiateWasm: InstantiateWasm }): Promise<void> };
        Language: { load(bytes: Uint8Array): Promise<never> };
        Query: new (language: never, source: string) => { patternCount(): number; delete(): void };
      };
      await throughHook(instantiate, treeSitter.wasm(), (instantiateWasm) => Parser.init({ instantiateWasm }));
      const grammar = bytesOf('@vscode/tree-sitter-wasm/wasm/tree-sitter-javascript.wasm');
      const language = await throughGlobal(instantiate, grammar, () => Language.load(grammar));
      return (depth) => {
        const query = new Query(language, '(array '.repeat(depth) + ')'.repeat(depth));
        expect(query.patternCount(), 1);
        query.delete();
      };
    },
  },
  {
    name: 'binaryen',
    what: 'a nested expression is written as binary',
    async start(instantiate) {
      const tool = await loadBinaryen(instantiate);
      return (depth) => {
        const module = new tool.Module();
        let body = module.i32.const(1);
        for (let level = 0; level < depth; level++) body = module.i32.eqz(body);
        module.addFunction('deep', tool.none, tool.i32, [], body);
        expect(module.emitBinary().length > depth, true);
        module.dispose();
      };
    },
  },
];
