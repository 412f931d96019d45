// Which room of src/ may import which: the table, and what the linter reads of it. docs/ARCHITECTURE.md says why.
import { readdirSync } from "node:fs";
import { posix } from "node:path";
import type { OxlintOverride } from "oxlint";

interface Room {
  /** Rooms, or single files of rooms, that it may import. Its own files are always allowed. */
  readonly may: readonly string[];
  /** As `may`, but only types. */
  readonly types?: readonly string[];
  /** Packages that it may import. `bson/types` stands for the types of `bson` alone. */
  readonly packages?: readonly string[];
}

const CONTRACT = ["schemas", "schemas/mapping", "schemas/keys", "schemas/formats"];
const ALL_SCHEMAS = [...CONTRACT, "schemas/registry", "schemas/encoding", "schemas/decoding", "schemas/redaction"];
const GROUND = ["errors", "runtime"];
const PRODUCERS = ["producers", "producers/mongodb", "producers/order", "producers/records", "producers/kafka"];
const CONSUMERS = [
  "consumers",
  "consumers/batches",
  "consumers/kafka",
  "consumers/postgres",
  "consumers/postgres/sql",
  "consumers/dead-letters",
  "consumers/register",
  "consumers/upkeep",
];

/** By a room's path below src/, or by the path of a single file, whose row then holds in place of its room's. */
export const ROOMS: Readonly<Record<string, Room>> = {
  errors: { may: [] },
  runtime: { may: ["errors"], packages: ["pino", "prom-client"] },

  "schemas/formats": { may: ["errors"], packages: ["bson", "avsc"] },
  "schemas/mapping": { may: ["errors", "schemas/formats"] },
  "schemas/keys": { may: ["errors", "schemas/formats", "schemas/mapping"], packages: ["bson"] },
  schemas: { may: ["errors", "schemas/mapping", "schemas/keys"], packages: ["bson", "zod"] },
  "schemas/registry": {
    may: [...GROUND, "schemas/formats", "schemas/mapping"],
    packages: ["@kafkajs/confluent-schema-registry", "avsc"],
  },
  "schemas/redaction": { may: ["errors", "schemas/formats", "schemas/mapping"] },
  "schemas/encoding": { may: ["errors", ...CONTRACT] },
  "schemas/decoding": { may: ["errors", ...CONTRACT], types: ["schemas/registry"], packages: ["avsc", "zod"] },

  kafka: { may: [...GROUND, "kafka/wire", "schemas/formats", "schemas/partitions.ts"], packages: ["kafkajs"] },
  "kafka/wire": { may: [...GROUND, "schemas/formats", "schemas/partitions.ts"], packages: ["kafkajs"] },

  postgres: { may: ["errors"] },

  config: { may: ["errors", "schemas", "schemas/mapping"], packages: ["zod", "yaml"] },

  "producers/mongodb": {
    may: [...GROUND, ...ALL_SCHEMAS, "producers/ports.ts", "producers/order"],
    packages: ["mongodb"],
  },
  "producers/order": { may: [...GROUND, ...ALL_SCHEMAS, "producers/ports.ts"] },
  "producers/records": { may: [...GROUND, ...ALL_SCHEMAS, "producers/ports.ts"] },
  "producers/kafka": {
    may: [...GROUND, ...ALL_SCHEMAS, "kafka", "kafka/wire", "producers/ports.ts", "producers/records"],
    packages: ["kafkajs"],
  },
  producers: { may: [...GROUND, ...ALL_SCHEMAS] },
  "producers/run-producer.ts": {
    may: [...GROUND, ...ALL_SCHEMAS, ...PRODUCERS, "kafka"],
    packages: ["kafkajs/types", "mongodb/types"],
  },

  "consumers/batches": { may: [...GROUND, ...ALL_SCHEMAS, "consumers/ports.ts"] },
  "consumers/kafka": {
    may: [...GROUND, ...ALL_SCHEMAS, "kafka", "kafka/wire", "consumers/ports.ts", "consumers/batches/log-bounds.ts"],
    packages: ["kafkajs/types"],
  },
  "consumers/register": {
    may: [
      ...GROUND,
      "consumers/ports.ts",
      "schemas/identity.ts",
      ...["catalog", "client", "session", "internal-tables", "table-errors", "table-plan", "sql/upsert-sql"].map(
        (file) => `consumers/postgres/${file}.ts`,
      ),
    ],
  },
  "consumers/postgres": {
    may: [
      ...GROUND,
      ...ALL_SCHEMAS,
      "postgres",
      "consumers/ports.ts",
      "consumers/batches/fold-batch.ts",
      "consumers/postgres/sql",
    ],
    packages: ["pg"],
  },
  "consumers/postgres/sql": {
    may: [...ALL_SCHEMAS, "consumers/ports.ts", "consumers/batches/fold-batch.ts", "consumers/postgres/catalog.ts"],
    types: ["consumers/postgres/session.ts"],
  },
  "consumers/dead-letters": {
    may: [
      ...GROUND,
      ...ALL_SCHEMAS,
      "kafka",
      "consumers/ports.ts",
      "consumers/batches",
      "consumers/kafka",
      "consumers/postgres/sql/upsert-sql.ts",
    ],
    types: ["consumers/postgres/client.ts"],
    packages: ["kafkajs/types"],
  },
  "consumers/upkeep": {
    may: [...GROUND, ...ALL_SCHEMAS, "consumers/ports.ts", "consumers/batches"],
    types: ["consumers/postgres/sink.ts"],
  },
  consumers: { may: [...GROUND, ...ALL_SCHEMAS, "consumers/batches"] },
  "consumers/run-consumer.ts": {
    may: [...GROUND, ...ALL_SCHEMAS, ...CONSUMERS, "kafka"],
    packages: ["kafkajs/types"],
  },

  operations: {
    may: [...GROUND, "operations/register", "config", "kafka", ...ALL_SCHEMAS, ...PRODUCERS, ...CONSUMERS],
    packages: ["mongodb/types", "kafkajs/types"],
  },
  "operations/checks": {
    may: [
      ...GROUND,
      "config",
      "kafka",
      ...ALL_SCHEMAS,
      ...PRODUCERS,
      ...CONSUMERS,
      "operations",
      "operations/register",
    ],
    packages: ["mongodb/types", "kafkajs/types", "@kafkajs/confluent-schema-registry/types"],
  },
  "operations/register": {
    may: [
      ...GROUND,
      "config",
      "kafka",
      ...ALL_SCHEMAS,
      ...CONSUMERS,
      "operations",
      "producers/mongodb/collections.ts",
      ...["losses", "mismatches"].map((file) => `producers/kafka/${file}.ts`),
    ],
    packages: ["kafkajs/types"],
  },
  "operations/dead-letters": {
    may: [...GROUND, "config", "kafka", ...ALL_SCHEMAS, ...CONSUMERS, "operations"],
    packages: ["kafkajs/types"],
  },
  "operations/propose": { may: ["schemas/formats"] },
  "operations/update": {
    may: ["operations/propose", "schemas/mapping", "schemas/formats", "schemas/encoding"],
    packages: ["yaml"],
  },
  "operations/sample-database.ts": {
    may: [
      "errors",
      "operations/propose",
      "schemas/collection-names.ts",
      "schemas/collection-selection.ts",
      "schemas/topics.ts",
      ...["collections", "errors"].map((file) => `producers/mongodb/${file}.ts`),
    ],
    packages: ["mongodb"],
  },

  // verify shares no code with the writer: of the data path it knows who to ask, not how values are written.
  verify: {
    may: [
      ...GROUND,
      "config",
      "postgres",
      "schemas",
      "schemas/mapping",
      "schemas/registry",
      "schemas/keys/id-type.ts",
      "verify/values",
      ...["client", "collections", "errors", "cluster-time"].map((file) => `producers/mongodb/${file}.ts`),
      "consumers/ports.ts",
      "consumers/dead-letters",
      ...["errors", "sql/stored-key"].map((file) => `consumers/postgres/${file}.ts`),
      ...["connections", "context", "pipeline-reader", "dead-letter-access", "signals", "source-database"].map(
        (file) => `operations/${file}.ts`,
      ),
    ],
    packages: ["mongodb", "pg"],
  },
  "verify/values": { may: [], types: ["schemas/mapping"], packages: ["bson"] },

  cli: { may: ["*"], packages: ["commander"] },
  "cli/commands": { may: ["*"], packages: ["commander"] },
  "cli/output": { may: ["*"], packages: ["log-update", "cli-table3"] },
};

const PACKAGES = [
  "@kafkajs/confluent-schema-registry",
  "avsc",
  "bson",
  "cli-table3",
  "commander",
  "kafkajs",
  "log-update",
  "mongodb",
  "pg",
  "pino",
  "prom-client",
  "yaml",
  "zod",
];

/**
 * The linter's overrides that hold the table.
 * @param files all files below src/, as `sourceFiles` lists them
 */
export function importOverrides(files: readonly string[]): OxlintOverride[] {
  const byRoom = Object.entries(ROOMS).filter(([name]) => !name.endsWith(".ts"));
  const byFile = Object.entries(ROOMS).filter(([name]) => name.endsWith(".ts"));
  // The last override that fits a file holds.
  return [
    ...byRoom.map(([name, room]) => override(`src/${name}/*.ts`, name, room, files)),
    ...byFile.map(([name, room]) => override(`src/${name}`, posix.dirname(name), room, files)),
  ];
}

function override(target: string, folder: string, room: Room, files: readonly string[]): OxlintOverride {
  const { may, types = [], packages = [] } = room;
  const isOwn = (file: string): boolean => posix.dirname(file) === folder;
  const others = files.filter((file) => !isOwn(file) && !isListed(may, file));
  const paths = PACKAGES.filter((name) => !packages.includes(name)).map((name) => ({
    name,
    message: `${folder} may not import this package (dev/import-rules.ts).`,
    allowTypeImports: packages.includes(`${name}/types`),
  }));
  const patterns = [
    { files: others.filter((file) => !isListed(types, file)), allowTypeImports: false },
    { files: others.filter((file) => isListed(types, file)), allowTypeImports: true },
  ]
    .filter((pattern) => pattern.files.length > 0)
    .map((pattern) => ({
      regex: `^(?:${pattern.files.map((file) => specifier(folder, file)).join("|")})$`,
      message: `${folder} may not import that room (dev/import-rules.ts).`,
      allowTypeImports: pattern.allowTypeImports,
    }));
  const outside = { regex: "^(?:\\.\\./)+(?:dev|test|bench)/", message: "src/ stands on its own." };
  return {
    files: [target],
    rules: { "no-restricted-imports": ["error", { paths, patterns: [...patterns, outside] }] },
  };
}

function isListed(list: readonly string[], file: string): boolean {
  return list.includes("*") || list.includes(file) || list.includes(posix.dirname(file));
}

/** How a file of `folder` names another file, as a regular expression. */
function specifier(folder: string, file: string): string {
  const path = posix.relative(folder, file);
  return (path.startsWith(".") ? path : `./${path}`).replaceAll(".", "\\.");
}

/** The files below a folder, as `kafka/wire/zstd.ts`. */
export function sourceFiles(root: string | URL): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts"));
}
