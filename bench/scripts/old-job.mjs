// The algorithm of the job that Headrace replaces: all documents in memory, then a look and a write for each of them.
import { setTimeout as sleep } from "node:timers/promises";
import { copy, readers } from "./copy.mjs";

await copy(async ({ documents, target, table, columns, batchRows, pauseMs }) => {
  const names = columns.map(([name]) => `"${name}"`);
  const parameters = columns.map((_, index) => `$${index + 1}`);
  const assignments = names.map((name, index) => `${name} = ${parameters[index]}`).slice(1);
  const exists = `SELECT 1 FROM ${table} WHERE ${names[0]} = $1`;
  const insert = `INSERT INTO ${table} (${names.join()}) VALUES (${parameters.join()})`;
  const update = `UPDATE ${table} SET ${assignments.join()} WHERE ${names[0]} = $1`;
  const read = readers(columns);

  const all = await documents.find().toArray();
  for (let from = 0; from < all.length; from += batchRows) {
    if (from > 0 && pauseMs > 0) await sleep(pauseMs);
    for (const document of all.slice(from, from + batchRows)) {
      const row = read.map((cell) => cell(document));
      const { rowCount } = await target.query(exists, [row[0]]);
      await target.query(rowCount === 0 ? insert : update, row);
    }
  }
});
