// SQLite as its authors package it, an ES module: recursive queries and a function written in JavaScript.
import { createHash } from 'node:crypto';
import sqlite3InitModule from '@sqlite.org/sqlite-wasm';

const sqlite3 = await sqlite3InitModule({ print() {}, printErr() {} });
const db = new sqlite3.oo1.DB(':memory:', 'c');
db.createFunction('collatz', (_context, n) => (n % 2 === 0 ? n / 2 : 3 * n + 1));
const rows = db.exec({
  sql: `WITH RECURSIVE chain(start, n, steps) AS (
          SELECT value, value, 0 FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c LIMIT 60) SELECT value FROM c)
          UNION ALL SELECT start, collatz(n), steps + 1 FROM chain WHERE n <> 1)
        SELECT start, max(steps), max(n) FROM chain GROUP BY start ORDER BY start`,
  returnValue: 'resultRows',
});
console.log(rows.length, createHash('sha256').update(JSON.stringify(rows)).digest('hex'));
db.close();
