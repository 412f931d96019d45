import * as z from "zod";
import { NUL_CHARACTERS } from "../schemas/mapping/mapping.ts";
import { addressComplaint, brokerComplaint } from "./addresses.ts";
import { collectionsSchema, hashedCollection, keyedCollections } from "./collections-schema.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** A check that gives what is wrong with a text, or null. */
const refineText =
  (complaintOf: (text: string) => string | null) => (text: string, context: z.RefinementCtx<string>) => {
    const complaint = complaintOf(text);
    if (complaint !== null) context.addIssue(complaint);
  };

const address = (scheme: RegExp, error: string) =>
  z.string().regex(scheme, { error, abort: true }).superRefine(refineText(addressComplaint));

const credentials = z.strictObject({
  username: z.string().min(1).describe("User name."),
  password: z.string().min(1).describe("Password. Take it from the environment: `${NAME}`."),
});

const onHistoryLost = z.enum(["fail", "resnapshot"]).default("fail");

const mongodb = z.strictObject({
  uri: address(
    /^mongodb(\+srv)?:\/\/./,
    "is not a MongoDB address; it must begin with mongodb:// or mongodb+srv://",
  ).describe("Connection string of a replica set. The role `read` on the database is enough for the user."),
  database: z
    .string()
    .regex(/^[^\s/\\."$*<>:|?\0]{1,63}$/, "is not a valid name of a MongoDB database")
    .refine((name) => !["admin", "config", "local"].includes(name), "is one of MongoDB's own databases")
    .describe("The database whose collections are replicated."),
  onDrop: z
    .enum(["apply", "fail"])
    .default("apply")
    .describe(
      "What the producer does when a collection is dropped, renamed or replaced (`$out`). `apply` empties the table and copies the documents that are there now. `fail` stops.",
    ),
  onHistoryLost: onHistoryLost.describe(
    "What the producer does when the oplog no longer contains the changes after its position, or MongoDB was restored from an older backup. `fail` stops. `resnapshot` copies all collections again, then deletes the rows whose documents no longer exist.",
  ),
  oplogReserve: z
    .number()
    .min(0)
    .max(1)
    .default(0.25)
    .describe(
      "The producer logs a warning when it lags so far behind that less than this share of the oplog window is left. Needs the role `read` on the database `local`.",
    ),
});

const kafka = z.strictObject({
  brokers: z
    .union([z.string().transform((text) => text.split(",").map((broker) => broker.trim())), z.array(z.string())])
    .pipe(z.array(z.string().superRefine(refineText(brokerComplaint))).min(1))
    .describe("Bootstrap brokers as `host:port`: a list, or one text with commas between them."),
  partitions: z
    .int()
    .min(1)
    .max(10_000)
    .default(4)
    .describe("Partitions of each collection's topic. At most this many consumers can share the work."),
  replicationFactor: z.int().min(1).max(100).default(1).describe("Replicas of each topic. Use 3 in production."),
  retentionMs: z
    .int()
    .min(-1)
    .default(7 * DAY_MS)
    .describe(
      "How long the topics keep records, in ms (default 7 days; -1: forever). Dead letters have `deadLetters.retentionMs`.",
    ),
  onHistoryLost: onHistoryLost.describe(
    "What producer and consumers do when records that were not applied are lost in Kafka: deleted by retention, or with their topic. `fail` stops. `resnapshot` copies the collection again, then deletes the rows whose documents no longer exist.",
  ),
  sessionTimeoutMs: z
    .int()
    .min(1_000)
    .max(1_800_000)
    .default(30_000)
    .describe(
      "A consumer that sends no heartbeat for this long, in ms, loses its partitions to the other consumers. By default, brokers allow 6000 to 1800000.",
    ),
  transactionIntervalMs: z
    .int()
    .min(0)
    .max(1_000)
    .default(10)
    .describe(
      "Shortest time, in ms, between the beginnings of two transactions of a few changes. While changes keep coming, those of that time share a transaction: each waits up to this long, and all servers have less to do. A change after a pause never waits.",
    ),
  ssl: z
    .union([
      z.boolean(),
      z.strictObject({
        caFile: z.string().optional().describe("File with the certificates of the trusted authorities (PEM)."),
        certFile: z.string().optional().describe("File with the client's certificate (PEM)."),
        keyFile: z.string().optional().describe("File with the client's private key (PEM)."),
      }),
    ])
    .default(false)
    .describe("TLS for the connections to the brokers: `true`, or the files to use."),
  sasl: z
    .strictObject({
      mechanism: z.enum(["plain", "scram-sha-256", "scram-sha-512"]).describe("SASL mechanism."),
      ...credentials.shape,
    })
    .optional()
    .describe("Login to the brokers."),
});

const schemaRegistry = z.strictObject({
  url: address(/^https?:\/\/./, "is not an HTTP address; it must begin with http:// or https://").describe(
    "Address of a registry with Confluent's API: Confluent, Karapace, or Apicurio (with the path `/apis/ccompat/v7`).",
  ),
  auth: credentials.optional().describe("Login to the registry (HTTP basic authentication)."),
});

const postgres = z.strictObject({
  url: address(
    /^postgres(ql)?:\/\/./,
    "is not a PostgreSQL address; it must begin with postgres:// or postgresql://",
  ).describe(
    "Connection string. `sslmode`, `sslrootcert`, `sslcert`, `sslkey` and `sslnegotiation` mean what they mean to libpq: without `sslmode`, and with `prefer`, the connection is encrypted if the server can; `require` does not verify the server's certificate; `verify-full` does. Without `sslrootcert`, `verify-full` trusts the authorities that Node.js knows. Headrace may connect through PgBouncer, also in transaction mode, but is faster without it.",
  ),
  schema: z
    .string()
    .min(1)
    .max(63)
    .refine((name) => name !== "headrace", "is Headrace's own schema")
    .refine((name) => !/^pg_|^information_schema$/.test(name), "is one of PostgreSQL's own schemas")
    .default("public")
    .describe("Schema of the tables. Headrace creates it if it does not exist."),
  statementTimeoutMs: z
    .int()
    .min(1_000)
    .default(60_000)
    .describe("A statement that takes longer than this, in ms, is cancelled and tried again."),
  poolSize: z.int().min(1).max(1_000).default(8).describe("Maximum number of connections of each process."),
});

const snapshot = z.strictObject({
  mode: z
    .enum(["initial", "always", "never", "only"])
    .default("initial")
    .describe(
      "When the producer copies collections. `initial`: each collection once. `always`: at every start. `never`: not at all, it only follows the changes. `only`: once, then it exits.",
    ),
  chunkDocuments: z
    .int()
    .min(1)
    .max(100_000)
    .default(2_000)
    .describe("Maximum number of documents in one read of a snapshot. The progress is stored after each read."),
});

const documents = z.strictObject({
  nulCharacters: z
    .enum(NUL_CHARACTERS)
    .default("replace")
    .describe(
      "What happens to a NUL character in a text, which PostgreSQL cannot store. `replace` writes U+FFFD in its place, `strip` removes it; both count as a misfit. `dead-letter` makes the document a dead letter.",
    ),
  hashKey: z
    .string()
    .refine((key) => key.length >= 16, "is too short for a key; use 16 characters or more")
    .optional()
    .describe(
      "The key of the hashes of `redact`. Take it from the environment: `${HEADRACE_HASH_KEY}`. With another key the collections are copied again.",
    ),
});

const batch = z.strictObject({
  rows: z.int().min(1).max(100_000).default(2_000).describe("Maximum number of records in one PostgreSQL transaction."),
  bytes: z
    .int()
    .min(1_024)
    .default(8 * 1024 * 1024)
    .describe("Maximum size of one PostgreSQL transaction, in bytes. A single record may be larger."),
});

const deadLetters = z.strictObject({
  retentionMs: z
    .int()
    .min(-1)
    .default(30 * DAY_MS)
    .describe(
      "How long Kafka keeps the records of dead letters, in ms (default 30 days; -1: forever). After that an open dead letter is still listed, and its replay reads the document again.",
    ),
  window: z
    .strictObject({
      max: z
        .int()
        .min(0)
        .default(100)
        .describe("The producer or consumer stops when its window contains more dead letters than this."),
      records: z.int().min(1).default(10_000).describe("Size of the window: this many latest records."),
    })
    .prefault({})
    .describe("A limit, so that a wrong table or mapping does not turn a whole collection into dead letters."),
});

const tombstones = z.strictObject({
  retentionMs: z
    .int()
    .min(-1)
    .default(30 * DAY_MS)
    .describe(
      "How long PostgreSQL remembers deletes, in ms (default 30 days; -1: forever). Must be longer than `kafka.retentionMs`, so that an old record in Kafka cannot bring back a deleted row.",
    ),
});

const log = z.strictObject({
  level: z
    .enum(["debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe(
      "Lowest level that is logged. The log is written to stderr: by `run`, `produce` and `consume` one JSON object per line, by the other commands as text.",
    ),
  traceSlowMs: z
    .int()
    .min(0)
    .optional()
    .describe(
      "`produce`, `consume` and `run` log where changes spent their time that took longer than this, in ms, from MongoDB's commit: to Kafka's commit in the producer, to PostgreSQL's in the consumer. If omitted, they do not. The option `--trace-slow MS` has precedence.",
    ),
});

const http = z.strictObject({
  port: z.int().min(0).max(65_535).describe("Port. 0 chooses a free one."),
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on. 0.0.0.0 listens on all."),
});

/** The only definition of the config: its validation, its defaults, and docs/configuration.md come from here. */
export const configSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
        "is not a valid name; use at most 63 letters, digits, _ and -, and begin with a letter or digit",
      )
      .describe("Name of the pipeline. The names of its topics, consumer group and transactional id are made from it."),
    mongodb: mongodb.describe("The source of the documents."),
    kafka: kafka.describe("The log between MongoDB and PostgreSQL."),
    schemaRegistry: schemaRegistry.describe("The registry of the topics' Avro schemas."),
    postgres: postgres.describe("The target of the rows."),
    snapshot: snapshot.prefault({}).describe("How collections are copied."),
    documents: documents.prefault({}).describe("How values of documents are written."),
    batch: batch.prefault({}).describe("How much is written in one PostgreSQL transaction."),
    deadLetters: deadLetters
      .prefault({})
      .describe("Documents that cannot be encoded, and records that cannot be applied."),
    tombstones: tombstones.prefault({}).describe("The memory of deletes, so that deleted rows do not come back."),
    log: log.prefault({}).describe("Logging."),
    http: http
      .optional()
      .describe("Serves /metrics, /healthz, /readyz and /status. If omitted, Headrace opens no port."),
    collections: collectionsSchema.optional(),
  })
  .superRefine((config, context) => {
    const complaint = retentionComplaint(config.kafka.retentionMs, config.tombstones.retentionMs);
    if (complaint !== null)
      context.addIssue({ code: "custom", path: ["tombstones", "retentionMs"], message: complaint });
    for (const side of ["mongodb", "kafka"] as const) {
      if (config.snapshot.mode !== "never" || config[side].onHistoryLost === "fail") continue;
      const message = "needs snapshots, but snapshot.mode is never";
      context.addIssue({ code: "custom", path: [side, "onHistoryLost"], message });
    }
    const { collections, documents } = config;
    // Collections with mistakes are no map yet.
    const hashed =
      documents.hashKey === undefined && collections instanceof Map ? hashedCollection(collections) : undefined;
    if (hashed !== undefined) {
      const message = `is missing; collection ${hashed} has fields to hash, which need a key`;
      context.addIssue({ code: "custom", path: ["documents", "hashKey"], message });
    }
  })
  .transform(({ collections, ...config }) => ({
    ...config,
    collections: collections === undefined ? undefined : keyedCollections(collections, config.documents.hashKey ?? ""),
  }))
  .describe("Configuration of one Headrace pipeline");

/** If a delete was forgotten, an older record of the same row that is still in Kafka could bring the row back. */
function retentionComplaint(recordsMs: number, tombstonesMs: number): string | null {
  if (tombstonesMs === -1) return null;
  if (recordsMs === -1) return "must be -1 (forever), because kafka.retentionMs is -1";
  return tombstonesMs > recordsMs ? null : `must be more than kafka.retentionMs (${recordsMs}), or -1 (forever)`;
}

/** A valid config, with defaults filled in. */
export type Config = z.output<typeof configSchema>;
