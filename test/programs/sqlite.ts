// SQLite by sql.js: one minified module with its own memory and an exported table that grows at run time, because
// SQL functions written in JavaScript are put into it.
import {
  type Bytes,
  bytesOf,
  type Instantiate,
  type InstantiateWasm,
  type Program,
  requireFresh,
  throughHook,
} from './program.ts';
import { type Database, runShop, type Value } from './sqlite-workload.ts';

interface SqlJs {
  Database: new () => {
    exec(sql: string): unknown;
    prepare(sql: string): {
      bind(values: Value[]): boolean;
      step(): boolean;
      get(): Value[];
      reset(): void;
      run(values: Value[]): void;
      free(): boolean;
    };
    create_function(name: string, fn: (value: Value) => Value): void;
    close(): void;
  };
}
type Factory = (options: { instantiateWasm: InstantiateWasm }) => Promise<SqlJs>;

const wasm = (): Bytes => bytesOf('sql.js/dist/sql-wasm.wasm');

export const sqlite: Program = {
  name: 'sqlite',
  package: 'sql.js',
  language: 'C',
  wasm,
  async start(instantiate: Instantiate) {
    // The package remembers its one initialisation, hence a fresh copy of it.
    const factory = requireFresh('sql.js') as Factory;
    const sql = await throughHook(instantiate, wasm(), (instantiateWasm) => factory({ instantiateWasm }));
    return { run: (scale = 1) => runShop(() => open(sql), scale) };
  },
};

/// The package names its database's file by Math.random. A name one digit shorter puts blocks of the heap elsewhere, and then
/// calls of malloc and realloc change places.
function withoutChance<T>(action: () => T): T {
  const { random } = Math;
  Math.random = () => 0.5;
  try {
    return action();
  } finally {
    Math.random = random;
  }
}

function open(sql: SqlJs): Database {
  const database = withoutChance(() => new sql.Database());
  return {
    exec: (text) => void database.exec(text),
    prepare(text) {
      const statement = database.prepare(text);
      return {
        run: (values) => statement.run(values),
        all(values) {
          const rows: Value[][] = [];
          statement.bind(values);
          while (statement.step()) rows.push(statement.get());
          statement.reset();
          return rows;
        },
        close: () => void statement.free(),
      };
    },
    define: (name, fn) => database.create_function(name, fn),
    close: () => database.close(),
  };
}
