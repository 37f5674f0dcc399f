// What both SQLite packagings run: a small shop that is created, filled, indexed, queried, changed and broken on
// purpose. A packaging only has to offer `Database`.
import { digest, outcome, randomNumbers } from './program.ts';

export type Value = number | string | Uint8Array | null;

export interface Statement {
  run(values: Value[]): void;
  /// All rows for these parameters.
  all(values: Value[]): Value[][];
  close(): void;
}

export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  /// Makes a JavaScript function callable from SQL.
  define(name: string, fn: (value: Value) => Value): void;
  close(): void;
}

const SCHEMA = `
  CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, email TEXT UNIQUE);
  CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price REAL CHECK (price > 0), tags TEXT);
  CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, day INTEGER, note BLOB);
  CREATE TABLE item (sale INTEGER REFERENCES sale, product INTEGER REFERENCES product, amount INTEGER);
  CREATE TABLE log (message TEXT);
  CREATE TRIGGER moved AFTER UPDATE OF city ON customer
    BEGIN INSERT INTO log VALUES (printf('%d: %s -> %s', old.id, old.city, new.city)); END;
  CREATE VIEW total AS
    SELECT sale.id, customer, day, sum(amount * price) AS worth
    FROM sale JOIN item ON item.sale = sale.id JOIN product ON product.id = item.product GROUP BY sale.id;`;

const INDEXES = `
  CREATE INDEX item_sale ON item (sale);
  CREATE INDEX item_product ON item (product, amount);
  CREATE INDEX sale_customer ON sale (customer, day);
  ANALYZE;`;

const QUERIES = [
  'SELECT city, count(*), min(name), max(email) FROM customer GROUP BY city ORDER BY 2 DESC, 1',
  `SELECT title, sum(amount) AS sold, round(avg(price), 2) FROM item JOIN product ON product.id = product
     GROUP BY title HAVING sold > 20 ORDER BY sold DESC, title LIMIT 12`,
  `SELECT name, round(sum(worth), 2) AS spent, count(*) FROM total JOIN customer ON customer.id = customer
     GROUP BY customer ORDER BY spent DESC, name LIMIT 8`,
  `SELECT day, worth, rank() OVER (PARTITION BY day ORDER BY worth DESC), sum(worth) OVER (ORDER BY day, id ROWS 5 PRECEDING)
     FROM total ORDER BY worth DESC, id LIMIT 10`,
  `WITH RECURSIVE step (n, value) AS (SELECT 1, 27 UNION ALL
     SELECT n + 1, iif(value % 2, 3 * value + 1, value / 2) FROM step WHERE value > 1)
   SELECT count(*), max(value), group_concat(value % 10, '') FROM step`,
  `SELECT json_extract(tags, '$.kind') AS kind, count(*), json_group_array(id) FROM product GROUP BY kind ORDER BY kind`,
  `SELECT upper(substr(name, 1, 3)) || '-' || length(email), hex(quote(city)) FROM customer WHERE name LIKE '%on%' OR email GLOB '*7?@*'`,
  'SELECT count(*), sum(length(note)), hex(max(note)) FROM sale WHERE id IN (SELECT sale FROM item WHERE amount > 7)',
  'SELECT a.city, count(*) FROM customer a JOIN customer b ON a.city = b.city AND a.id < b.id GROUP BY 1 ORDER BY 1',
  'SELECT shout(name) FROM customer WHERE id % 17 = 0 ORDER BY shout(city), id',
  'EXPLAIN QUERY PLAN SELECT * FROM total JOIN customer ON customer.id = customer WHERE day BETWEEN 10 AND 20',
  'SELECT message FROM log ORDER BY rowid DESC LIMIT 3',
  'PRAGMA integrity_check',
];

const MISTAKES = [
  'SELEKT 1',
  'SELECT nothing FROM customer',
  "INSERT INTO customer (name, email) VALUES ('Twin', 'mail1@example.org')",
  "INSERT INTO product (title, price) VALUES ('Free', -1)",
  'SELECT abs(-9223372036854775808)',
  'SELECT fail(1)',
];

const CITIES = ['Oslo', 'Ghent', 'Porto', 'Turin', 'Lyon', 'Kyoto', 'Quito', 'Łódź'];
const SYLLABLES = ['ar', 'bel', 'con', 'dro', 'en', 'fi', 'gra', 'hul', 'is', 'jon'];

/// Opens a database, runs everything, closes it, and returns what came out, one line a query or mistake.
export function runShop(open: () => Database, scale: number): string {
  const database = open();
  try {
    database.define('shout', (value) => `${String(value).toUpperCase()}!`);
    database.define('fail', (value) => {
      throw new Error(`the host refuses ${value}`);
    });
    database.exec(SCHEMA);
    fill(database, scale);
    database.exec(INDEXES);
    change(database);
    const lines = QUERIES.map((sql, index) => {
      const statement = database.prepare(sql);
      const rows = statement.all([]);
      statement.close();
      return `query ${index}: ${rows.length} rows ${digest(show(rows))} ${show(rows.slice(0, 3))}`;
    });
    lines.push(...lookUp(database, scale));
    for (const sql of MISTAKES) lines.push(`${sql}: ${outcome(() => database.exec(sql))}`);
    return lines.join('\n');
  } finally {
    database.close();
  }
}

function fill(database: Database, scale: number): void {
  const random = randomNumbers(20);
  const word = () => Array.from({ length: 2 + random(2) }, () => SYLLABLES[random(SYLLABLES.length)]).join('');
  database.exec('BEGIN');
  const customer = database.prepare('INSERT INTO customer VALUES (?, ?, ?, ?)');
  for (let id = 1; id <= 300; id++) customer.run([id, word(), CITIES[random(CITIES.length)], `mail${id}@example.org`]);
  customer.close();
  const product = database.prepare('INSERT INTO product VALUES (?, ?, ?, ?)');
  for (let id = 1; id <= 120; id++) {
    product.run([
      id,
      word(),
      0.25 + random(4000) / 16,
      JSON.stringify({ kind: SYLLABLES[random(4)], weight: random(90) }),
    ]);
  }
  product.close();
  const sale = database.prepare('INSERT INTO sale VALUES (?, ?, ?, ?)');
  const item = database.prepare('INSERT INTO item VALUES (?, ?, ?)');
  for (let id = 1; id <= 2000 * scale; id++) {
    sale.run([id, 1 + random(300), random(60), Uint8Array.from({ length: random(12) }, () => random(256))]);
    for (let part = 1 + random(3); part > 0; part--) item.run([id, 1 + random(120), 1 + random(9)]);
  }
  sale.close();
  item.close();
  database.exec('COMMIT');
}

function change(database: Database): void {
  database.exec(`
    UPDATE customer SET city = 'Basel' WHERE id % 11 = 0;
    DELETE FROM item WHERE amount = 5 AND product % 3 = 0;
    SAVEPOINT half; UPDATE product SET price = price * 2; DELETE FROM customer; ROLLBACK TO half; RELEASE half;
    INSERT INTO product (title, price) VALUES ('Zebra', 9.5) ON CONFLICT DO NOTHING;
    VACUUM;`);
}

function lookUp(database: Database, scale: number): string[] {
  const random = randomNumbers(7);
  const statement = database.prepare('SELECT count(*), max(worth) FROM total WHERE customer = ? AND day > ?');
  const rows = Array.from({ length: 40 * scale }, () => statement.all([1 + random(300), random(60)])[0]);
  statement.close();
  return [`look-ups: ${rows.length} ${digest(show(rows))}`];
}

function show(rows: Value[][]): string {
  return JSON.stringify(rows, (_, value) => (value instanceof Uint8Array ? Array.from(value) : value));
}
