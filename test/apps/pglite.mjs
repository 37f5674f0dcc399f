// PostgreSQL by pglite, in memory: a schema, rows, a join, a function in PL/pgSQL, an error.
import { PGlite } from '@electric-sql/pglite';

const db = await PGlite.create();
await db.exec(`
  CREATE TABLE author (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE book (id serial, author int REFERENCES author, title text, price numeric(8, 2));
  INSERT INTO author SELECT i, 'author ' || i FROM generate_series(1, 20) i;
  INSERT INTO book (author, title, price) SELECT 1 + i % 20, md5(i::text), i * 1.25 FROM generate_series(1, 300) i;
  CREATE FUNCTION triangle(n int) RETURNS int LANGUAGE plpgsql AS $$
  DECLARE total int := 0; BEGIN FOR i IN 1..n LOOP total := total + i; END LOOP; RETURN total; END $$;`);
const { rows } = await db.query(
  `
  SELECT a.name, count(*)::int AS books, sum(price)::text AS total, min(title) AS first, triangle(count(*)::int) AS t
  FROM author a JOIN book b ON b.author = a.id GROUP BY a.name HAVING sum(price) > $1 ORDER BY 3 DESC, 1 LIMIT 5`,
  [100],
);
for (const row of rows) console.log(JSON.stringify(row));
await db.query('SELECT 1 / 0').catch((error) => console.log(error.message));
await db.close();
