import * as z from "zod";
import { NUL_CHARACTERS } from "../schemas/mapping/mapping.ts";
import { collectionsSchema } from "./collections-schema.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

const credentials = z.strictObject({
  username: z.string().min(1).describe("User name."),
  password: z.string().min(1).describe("Password; best from the environment."),
});

const onHistoryLost = z.enum(["fail", "resnapshot"]).default("fail");

const mongodb = z.strictObject({
  uri: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\/./, "is not a MongoDB address: it begins with mongodb:// or mongodb+srv://")
    .describe("Connection string of a replica set. The user needs the role `read` on the database, nothing more."),
  database: z
    .string()
    .regex(/^[^\s/\\."$*<>:|?\0]{1,63}$/, "is not a name of a MongoDB database")
    .refine((name) => !["admin", "config", "local"].includes(name), "is one of MongoDB's own databases")
    .describe("The database whose collections are replicated."),
  onDrop: z
    .enum(["apply", "fail"])
    .default("apply")
    .describe(
      "When a collection is dropped, renamed or replaced (`$out`): `apply` empties its table, and copies what is there now; `fail` stops.",
    ),
  onHistoryLost: onHistoryLost.describe(
    "When the oplog no longer reaches back to where the producer stands: `fail` stops; `resnapshot` copies all collections anew, and then deletes the rows whose documents are gone.",
  ),
  oplogReserve: z
    .number()
    .min(0)
    .max(1)
    .default(0.25)
    .describe(
      "Warns when less than this share of the time that the oplog holds is left before it loses what the producer has not read. Needs the role `read` on `local`.",
    ),
});

const kafka = z.strictObject({
  brokers: z
    .union([z.string().transform((text) => text.split(",").map((broker) => broker.trim())), z.array(z.string())])
    .pipe(z.array(z.string().regex(/^.+:\d{1,5}$/, "is not host:port")).min(1))
    .describe("Bootstrap brokers as host:port: one text with commas between them, or a list."),
  partitions: z
    .int()
    .min(1)
    .max(10_000)
    .default(4)
    .describe("Partitions of each collection's topic, hence the most consumers that share its work."),
  replicationFactor: z.int().min(1).max(100).default(1).describe("Copies of each topic; 3 in production."),
  retentionMs: z
    .int()
    .min(-1)
    .default(7 * DAY_MS)
    .describe("How long the topics keep records, in ms (default 7 days; -1: for ever)."),
  onHistoryLost: onHistoryLost.describe(
    "When the topics no longer hold what a consumer has still to apply: `fail` stops; `resnapshot` has the collection copied anew, and then deletes the rows whose documents are gone.",
  ),
  sessionTimeoutMs: z
    .int()
    .min(1_000)
    .max(1_800_000)
    .default(30_000)
    .describe(
      "A consumer that the brokers have not heard of for this long, in ms, loses its partitions to the others. Brokers allow 6000 to 1800000 unless they are set otherwise.",
    ),
  ssl: z
    .union([
      z.boolean(),
      z.strictObject({
        caFile: z.string().optional().describe("File with the certificates of the authorities to trust, PEM."),
        certFile: z.string().optional().describe("File with the client's certificate, PEM."),
        keyFile: z.string().optional().describe("File with the client's private key, PEM."),
      }),
    ])
    .default(false)
    .describe("TLS to the brokers: `true`, or the files to use."),
  sasl: z
    .strictObject({
      mechanism: z.enum(["plain", "scram-sha-256", "scram-sha-512"]).describe("SASL mechanism."),
      ...credentials.shape,
    })
    .optional()
    .describe("Login at the brokers."),
});

const schemaRegistry = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\/./, "is not an address: it begins with http:// or https://")
    .describe("Address of a registry with Confluent's API (Confluent, Apicurio `/apis/ccompat/v7`, Karapace)."),
  auth: credentials.optional().describe("Login at the registry (HTTP basic)."),
});

const postgres = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\/./, "is not a PostgreSQL address: it begins with postgres:// or postgresql://")
    .describe("Connection string; `?sslmode=verify-full` and the like as libpq has them."),
  schema: z
    .string()
    .min(1)
    .max(63)
    .refine((name) => name !== "headrace", "is Headrace's own schema")
    .refine((name) => !/^pg_|^information_schema$/.test(name), "is one of PostgreSQL's own schemas")
    .default("public")
    .describe("Schema that the tables are in. Created where it is missing."),
  statementTimeoutMs: z
    .int()
    .min(1_000)
    .default(60_000)
    .describe("A statement that takes longer, in ms, is cancelled and tried again."),
  poolSize: z.int().min(1).max(1_000).default(8).describe("Most connections at a time, of each process."),
});

const snapshot = z.strictObject({
  mode: z
    .enum(["initial", "always", "never", "only"])
    .default("initial")
    .describe(
      "`initial`: each collection once, then changes. `always`: at each start. `never`: changes only. `only`: copy and exit.",
    ),
  chunkDocuments: z
    .int()
    .min(1)
    .max(100_000)
    .default(2_000)
    .describe("Most documents of one snapshot read; progress is stored after each."),
});

const documents = z.strictObject({
  nulCharacters: z
    .enum(NUL_CHARACTERS)
    .default("replace")
    .describe(
      "A NUL character in a text, which PostgreSQL cannot store: `replace` writes U+FFFD, `strip` leaves it out, `dead-letter` gives the document up until it is mended. Counted as a misfit.",
    ),
});

const batch = z.strictObject({
  rows: z.int().min(1).max(100_000).default(2_000).describe("Most records of one PostgreSQL transaction."),
  bytes: z
    .int()
    .min(1_024)
    .default(8 * 1024 * 1024)
    .describe("Most bytes of one PostgreSQL transaction; a single record may be larger."),
});

const deadLetters = z.strictObject({
  window: z
    .strictObject({
      max: z.int().min(0).default(100).describe("More dead letters than this in the window stop the consumer."),
      records: z.int().min(1).default(10_000).describe("Size of the window, in records."),
    })
    .prefault({})
    .describe("A limit, so that a wrong table does not turn a whole topic into dead letters."),
});

const tombstones = z.strictObject({
  retentionMs: z
    .int()
    .min(-1)
    .default(30 * DAY_MS)
    .describe(
      "How long deletes are remembered, in ms (default 30 days; -1: for ever). Longer than `kafka.retentionMs`, so that no record is older than the memory.",
    ),
});

const log = z.strictObject({
  level: z
    .enum(["debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe("Least level that is logged. Logs are JSON lines on stderr."),
});

const http = z.strictObject({
  port: z.int().min(0).max(65_535).describe("Port; 0 takes a free one."),
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen at; 0.0.0.0 for all."),
});

/** The one source of truth of the config: validation, defaults, and the reference in the docs. */
export const configSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
        "is not a name: letters, digits, _ and -, at most 63, the first a letter or digit",
      )
      .describe("Name of the pipeline. Its topics, consumer group and transactional id derive from it."),
    mongodb: mongodb.describe("The source."),
    kafka: kafka.describe("The log between the two."),
    schemaRegistry: schemaRegistry.describe("Where the Avro schemas of the topics are."),
    postgres: postgres.describe("The sink."),
    snapshot: snapshot.prefault({}).describe("The first copy of a collection."),
    documents: documents.prefault({}).describe("What becomes of the documents' values."),
    batch: batch.prefault({}).describe("How much is written to PostgreSQL at a time."),
    deadLetters: deadLetters.prefault({}).describe("Records that cannot be applied."),
    tombstones: tombstones.prefault({}).describe("Memory of deletes, so that nothing deleted comes back."),
    log: log.prefault({}).describe("Logging."),
    http: http.optional().describe("Serves /metrics, /healthz, /readyz and /status. Left out: nothing listens."),
    collections: collectionsSchema.optional(),
  })
  .superRefine((config, context) => {
    const complaint = retentionComplaint(config.kafka.retentionMs, config.tombstones.retentionMs);
    if (complaint !== null)
      context.addIssue({ code: "custom", path: ["tombstones", "retentionMs"], message: complaint });
    for (const side of ["mongodb", "kafka"] as const) {
      if (config.snapshot.mode !== "never" || config[side].onHistoryLost === "fail") continue;
      const message = "cannot be resnapshot, as snapshot.mode is never";
      context.addIssue({ code: "custom", path: [side, "onHistoryLost"], message });
    }
  })
  .describe("Configuration of one Headrace pipeline");

/** A deleted row would come back where an older record of it is replayed after the delete has been forgotten. */
function retentionComplaint(recordsMs: number, tombstonesMs: number): string | null {
  if (tombstonesMs === -1) return null;
  if (recordsMs === -1) return "must be -1 (for ever), as kafka.retentionMs is";
  return tombstonesMs > recordsMs
    ? null
    : `must be more than kafka.retentionMs, which is ${recordsMs}, or -1 (for ever)`;
}

/** A valid config with its defaults. */
export type Config = z.output<typeof configSchema>;
