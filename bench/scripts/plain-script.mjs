// A good script without Kafka: a cursor, and upserts of many rows at once while the next documents are read.
import { copy, readers } from "./copy.mjs";

await copy(async ({ documents, target, table, columns, batchRows }) => {
  const names = columns.map(([name]) => `"${name}"`);
  const arrays = columns.map(([, type], index) => `$${index + 1}::${elementType(type)}[]`);
  const aliases = columns.map((_, index) => `c${index}`);
  const casts = columns.map(([, type], index) => `c${index}::${type}`);
  const assignments = names.slice(1).map((name) => `${name} = EXCLUDED.${name}`);
  const text = `INSERT INTO ${table} (${names.join()}) SELECT ${casts.join()}
    FROM unnest(${arrays.join()}) AS t (${aliases.join()}) ON CONFLICT (${names[0]}) DO UPDATE SET ${assignments.join()}`;
  const read = readers(columns);

  let batch = [];
  let writing = Promise.resolve();
  const write = async () => {
    const values = read.map((cell) => batch.map(cell));
    batch = [];
    await writing;
    writing = target.query({ name: "upsert", text, values });
  };
  // No projection, because every field is a column.
  for await (const document of documents.find({}, { batchSize: batchRows })) {
    batch.push(document);
    if (batch.length === batchRows) await write();
  }
  if (batch.length > 0) await write();
  await writing;
});

/** Arrays are sent as text. */
function elementType(type) {
  return type.endsWith("[]") ? "text" : type;
}
