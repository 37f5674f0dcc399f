// SQLite as its authors package it: unminified export names, an imported memory, and a JavaScript layer that
// calls exports directly (over 200 of them).
import type { Database as Oo1Database, Sqlite3Static } from '@sqlite.org/sqlite-wasm';
import { type Bytes, bytesOf, type Instantiate, type InstantiateWasm, type Program, throughHook } from './program.ts';
import { type Database, runShop, type Value } from './sqlite-workload.ts';

type Factory = (options: {
  instantiateWasm: InstantiateWasm;
  print(text: string): void;
  printErr(text: string): void;
}) => Promise<Sqlite3Static>;

const wasm = (): Bytes => bytesOf('@sqlite.org/sqlite-wasm/sqlite-wasm/jswasm/sqlite3.wasm');

export const sqliteOfficial: Program = {
  name: 'sqlite-official',
  package: '@sqlite.org/sqlite-wasm',
  language: 'C',
  wasm,
  async start(instantiate: Instantiate) {
    const factory = (await import('@sqlite.org/sqlite-wasm')).default as Factory;
    const sqlite3 = await throughHook(instantiate, wasm(), (instantiateWasm) =>
      factory({ instantiateWasm, print() {}, printErr() {} }),
    );
    // It logs each failing statement to the console besides throwing.
    sqlite3.config.warn = () => {};
    return { run: (scale = 1) => runShop(() => open(new sqlite3.oo1.DB(':memory:', 'c')), scale) };
  },
};

function open(database: Oo1Database): Database {
  return {
    exec: (sql) => void database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      return {
        run: (values) => void (values.length ? statement.bind(values) : statement).stepReset(),
        all(values) {
          const rows: Value[][] = [];
          if (values.length) statement.bind(values);
          while (statement.step()) rows.push(statement.get([]) as Value[]);
          statement.reset();
          return rows;
        },
        close: () => void statement.finalize(),
      };
    },
    define: (name, fn) => void database.createFunction(name, (_context: number, value) => fn(value as Value)),
    close: () => database.close(),
  };
}
