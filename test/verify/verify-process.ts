// Compares a database's collection `things` with the table of a schema, in a process whose memory can be capped.
import { MongoClient } from "mongodb";
import { Client } from "pg";
import { collectionConfig } from "../../src/config/collections-schema.ts";
import { compareTables } from "../../src/verify/compare-tables.ts";

const { MONGODB_URI = "", POSTGRES_URL = "", DATABASE = "", SCHEMA = "" } = process.env;
await using mongo = await MongoClient.connect(MONGODB_URI);
const client = new Client({ connectionString: POSTGRES_URL });
await client.connect();
const result = await compareTables(
  {
    db: mongo.db(DATABASE),
    client,
    schema: SCHEMA,
    nulCharacters: "replace",
    idTypeOf: async () => "integer",
    waitUntilCaughtUp: async () => null, // one look more, not three
    openDeadLetters: async () => new Set(),
  },
  [collectionConfig("things")],
);
await client.end();
process.stdout.write(JSON.stringify({ ...result, peakBytes: process.resourceUsage().maxRSS * 1024 }));
