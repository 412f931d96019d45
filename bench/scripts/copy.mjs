// What the two scripts share. JavaScript, for the reason that usage-report.mjs gives.
import { MongoClient } from "mongodb";
import { Client } from "pg";

/**
 * Connects to both sides, as argument 1 (JSON) says, and calls `work`.
 * @param {(context: object) => Promise<void>} work gets the collection, a connected client, and the rest of the argument
 */
export async function copy(work) {
  const { mongodbUri, database, collection, postgresUrl, ...options } = JSON.parse(process.argv[2]);
  await using source = await new MongoClient(mongodbUri).connect();
  const target = new Client(postgresUrl);
  await target.connect();
  try {
    await work({ ...options, target, documents: source.db(database).collection(collection) });
  } finally {
    await target.end();
  }
}

/** How a value becomes a parameter, by the type of its column. The others are parameters as they are. */
const PARAMETERS = {
  text: String,
  numeric: String,
  timestamptz: (value) => value.toISOString(),
  jsonb: JSON.stringify,
  // As text, because unnest would flatten an array of arrays.
  "text[]": (value) => `{${value.map((item) => `"${item.replace(/["\\]/g, String.raw`\$&`)}"`).join()}}`,
};

const unchanged = (value) => value;

/** For each column, `[name, type]`: a function that gives a document's parameter for it. */
export function readers(columns) {
  return columns.map(([name, type]) => {
    const parameter = PARAMETERS[type] ?? unchanged;
    return ({ [name]: value = null }) => (value === null ? null : parameter(value));
  });
}
