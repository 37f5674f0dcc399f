// SQLite by sql.js, a CommonJS program: builds an index of words, queries it, prints a digest.
const { createHash } = require('node:crypto');
const initSqlJs = require('sql.js');

initSqlJs().then((SQL) => {
  const db = new SQL.Database();
  db.run(
    'CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT, length INT); CREATE INDEX by_length ON words (length)',
  );
  const insert = db.prepare('INSERT INTO words (word, length) VALUES (?, ?)');
  for (let i = 0; i < 2000; i++) {
    const word = ((i * 7919) % 10007).toString(36).repeat(1 + (i % 4));
    insert.run([word, word.length]);
  }
  insert.free();
  const rows = db.exec(
    'SELECT length, count(*), min(word), max(word), sum(id) FROM words GROUP BY length ORDER BY length',
  );
  console.log(rows[0].values.length, createHash('sha256').update(JSON.stringify(rows)).digest('hex'));
  try {
    db.exec('SELECT nothing FROM nowhere');
  } catch (error) {
    console.log(error.message);
  }
  db.close();
});
