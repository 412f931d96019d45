import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { configSchema } from "../../src/config/config-schema.ts";
import { loadConfig, parseConfig } from "../../src/config/load-config.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

function parse(data: object, environment: Record<string, string> = {}) {
  return parseConfig(stringify(data), { file: "headrace.yaml", environment });
}

/** What is wrong with a config, as `path: message`. */
function mistakesOf(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, { file: "headrace.yaml", environment });
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    const [, ...lines] = error.message.split("\n");
    return lines.map((line) => line.replace(/^ {2}(?:line \d+(?:, |: ))?/, ""));
  }
  throw new Error("the config was accepted");
}

const mistakesIn = (change: object, environment?: Record<string, string>) =>
  mistakesOf(stringify({ ...MINIMAL_CONFIG, ...change }), environment);

describe("a config that loads", () => {
  test("needs only the name, the addresses and the database", () => {
    expect(parse(MINIMAL_CONFIG)).toMatchObject({
      kafka: { brokers: ["localhost:9092"], partitions: 4, replicationFactor: 1, retentionMs: 604_800_000, ssl: false },
      postgres: { schema: "public" },
      snapshot: { mode: "initial" },
      batch: { rows: 2_000 },
      log: { level: "info" },
    });
    expect(parse(MINIMAL_CONFIG).collections).toBeUndefined();
    expect(parse(MINIMAL_CONFIG).http).toBeUndefined();
  });

  test.each([
    ["a text with commas", "a:1, b:2"],
    ["a list", ["a:1", "b:2"]],
  ])("takes brokers as %s", (_, brokers) => {
    expect(parse({ ...MINIMAL_CONFIG, kafka: { brokers } }).kafka.brokers).toEqual(["a:1", "b:2"]);
  });

  test("sets the tables, modes, paths and types of collections", () => {
    const collections = {
      products: {
        idType: "integer",
        columns: {
          sku: "TEXT",
          width: { path: "dims.w", type: "float8" },
          odd: { path: ["a.b", "Release Date"], type: "numeric(10, 2)" },
          "dims.h": "int",
        },
      },
      carts: null,
      orders: { table: "Orders 2" },
    };
    const parsed = parse({ ...MINIMAL_CONFIG, collections }).collections;
    const [products, carts, orders] = ["products", "carts", "orders"].map((name) => parsed?.get(name));
    expect(products?.table).toBe("products");
    expect(products?.mapping).toMatchObject({ collection: "products", mode: "columns", idType: "integer" });
    expect(products?.mapping.columns.map(({ name, path, type }) => [name, path, type.sql])).toEqual([
      ["sku", ["sku"], "text"],
      ["width", ["dims", "w"], "double precision"],
      ["odd", ["a.b", "Release Date"], "numeric(10,2)"],
      ["dims.h", ["dims", "h"], "integer"],
    ]);
    expect(carts).toEqual({
      table: "carts",
      mapping: { collection: "carts", mode: "document", columns: [], children: [], idType: undefined },
    });
    expect(orders?.table).toBe("Orders 2");
  });

  test("can be the example file, with its environment variables set", () => {
    const text = readFileSync(new URL("../../headrace.example.yaml", import.meta.url), "utf8");
    const environment = {
      MONGODB_URI: "mongodb://localhost:27017",
      KAFKA_BROKERS: "localhost:9092",
      SCHEMA_REGISTRY_URL: "http://localhost:8081",
      POSTGRES_URL: "postgres://localhost/shop",
    };
    const config = parseConfig(text, { file: "headrace.example.yaml", environment });
    expect([...(config.collections?.keys() ?? [])]).toEqual(["products", "carts"]);
    expect(config.collections?.get("products")?.mapping.columns).toHaveLength(5);
  });

  test("may use YAML's anchors and merge keys", () => {
    const text = `${stringify(MINIMAL_CONFIG)}
collections:
  a: &base { columns: { x: text } }
  b: { <<: *base, table: bb }
`;
    const { collections } = parseConfig(text, { file: "headrace.yaml", environment: {} });
    const [a, b] = [collections?.get("a"), collections?.get("b")];
    expect(b?.table).toBe("bb");
    expect(b?.mapping.columns).toEqual(a?.mapping.columns);
  });

  test("with its defaults written out loads to the same config", () => {
    const settings = fc.record(
      {
        snapshot: fc.record({ mode: fc.constantFrom("initial", "always", "never", "only") }),
        kafka: fc.record({
          brokers: fc.array(
            fc.domain().map((host) => `${host}:9092`),
            { minLength: 1, maxLength: 3 },
          ),
          partitions: fc.integer({ min: 1, max: 10_000 }),
          ssl: fc.boolean(),
        }),
        batch: fc.record({ rows: fc.integer({ min: 1, max: 100_000 }) }, { requiredKeys: [] }),
        deadLetters: fc.record({ window: fc.record({ max: fc.nat() }) }, { requiredKeys: [] }),
        http: fc.record({ port: fc.integer({ min: 0, max: 65_535 }) }),
        log: fc.record({ level: fc.constantFrom("debug", "info", "warn", "error") }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(settings, (changes) => {
        const config = parse({ ...MINIMAL_CONFIG, ...changes });
        expect(config).toMatchObject(changes);
        expect(configSchema.parse(config)).toEqual(config);
      }),
    );
  });
});

describe("the environment", () => {
  test("can contain texts, numbers and booleans, also inside a text", () => {
    const config = parse(
      {
        ...MINIMAL_CONFIG,
        mongodb: { uri: "mongodb://${HOST}:${PORT}/?x=$${y}", database: "${DB}" },
        kafka: { brokers: ["${HOST}:9092"], partitions: "${PARTITIONS}", ssl: "${SSL}" },
      },
      { HOST: "db", PORT: "1", DB: "12", PARTITIONS: "8", SSL: "true" },
    );
    expect(config.mongodb).toMatchObject({ uri: "mongodb://db:1/?x=${y}", database: "12" });
    expect(config.kafka).toMatchObject({ brokers: ["db:9092"], partitions: 8, ssl: true });
  });

  test("${…} and YAML in the value of a variable stay as they are", () => {
    const config = parse({ ...MINIMAL_CONFIG, postgres: { url: "postgres://me:${PW}@h/d" } }, { PW: "${HOME}:{a:[" });
    expect(config.postgres.url).toBe("postgres://me:${HOME}:{a:[@h/d");
  });

  test("an unset variable is reported once, at its path", () => {
    expect(mistakesIn({ postgres: { url: "${NO_SUCH}" } })).toEqual([
      "postgres.url: the environment variable NO_SUCH is not set",
    ]);
    expect(mistakesIn({ kafka: { brokers: "${NO_SUCH}" } })).toEqual([
      "kafka.brokers: the environment variable NO_SUCH is not set",
    ]);
  });

  test.each(["${}", "${a b}", "${x:-y}", "${x"])("%s is a mistake", (text) => {
    expect(mistakesIn({ postgres: { url: `postgres://${text}` } })).toEqual([
      "postgres.url: write ${NAME} for an environment variable, or $${ for the text ${",
    ]);
  });

  test("a mistake does not show the value of a variable", () => {
    const mistakes = mistakesIn({ kafka: { brokers: "a:1", partitions: "${SECRET}" } }, { SECRET: "hunter2" });
    expect(mistakes).toEqual(["kafka.partitions: the value is not valid; expected a whole number from 1 to 10000"]);
  });
});

describe("mistakes", () => {
  test("are all reported at once, with line, path, the value and what is expected", () => {
    const text = `name: "sh op"
mongodb: { uri: "\${NO_SUCH}", database: admin }
kafka:
  brokers: "a:1, b"
  partitions: four
  brokrs: x
  sasl: { mechanism: plane, username: u, password: p }
schemaRegistry: { url: ftp://me:hunter2@x }
snapshot: { mode: initil }
collections:
  products:
    columns:
      sku: txt
      _id: text
      width: { path: dims..w, type: float8 }
      height: { pth: h, type: float8 }
      depth: 7
      weight: jsonb
      g: { path: weight.g, type: float8 }
  carts: { table: products }
  orders: { columns: {} }
  system.x: {}
`;
    const wrong = () => parseConfig(text, { file: "shop.yaml", environment: {} });
    expect(wrong).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    let message = "";
    try {
      wrong();
    } catch (error) {
      message = (error as Error).message;
    }
    for (const line of [
      'line 1, name: "sh op" is not a valid name',
      "line 2, mongodb.uri: the environment variable NO_SUCH is not set",
      `line 2, mongodb.database: "admin" is one of MongoDB's own databases`,
      "line 4, kafka.brokers[1]: is not of the form host:port",
      'line 5, kafka.partitions: "four" is not valid; expected a whole number from 1 to 10000',
      "line 6, kafka.brokrs: unknown key; did you mean brokers?",
      'line 7, kafka.sasl.mechanism: "plane" is not valid; expected one of plain,',
      "line 8, schemaRegistry.url: the value is not an HTTP address",
      "  postgres: is missing",
      'line 9, snapshot.mode: "initil" is not valid; expected one of initial, always, never, only; did you mean initial?',
      'line 13, collections.products.columns.sku: Column type "txt" is not',
      'line 13, collections.products.columns: column "_id" has a name that Headrace uses itself',
      'line 13, collections.products.columns: column "weight" and column "g" have overlapping paths',
      'line 15, collections.products.columns.width.path: "dims..w" contains an empty name',
      "line 16, collections.products.columns.height.pth: unknown key; did you mean path?",
      "line 17, collections.products.columns.depth: 7 is not valid",
      "line 20, collections.carts: has the same table (products) as collection products; give one of them another name or `table`",
      "line 21, collections.orders.columns: is empty",
      'line 22, collections["system.x"]: ',
    ]) {
      expect(message).toContain(line);
    }
    expect(message).toContain("shop.yaml has 20 mistakes");
    expect(message).not.toContain("hunter2");
  });

  test.each(["_id", "_version", "_extra", "doc"])("the column name %s is reserved", (name) => {
    expect(mistakesIn({ collections: { a: { columns: { [name]: { path: "a", type: "text" } } } } })).toEqual([
      expect.stringMatching(new RegExp(`^collections\\.a\\.columns: column "${name}" has a name that Headrace uses`)),
    ]);
  });

  test("names that PostgreSQL would truncate are refused", () => {
    const long = "ü".repeat(32);
    expect(
      mistakesIn({
        collections: { [long]: {}, b: { table: `${long}2` }, c: { columns: { [long]: "text" } }, d: { table: "" } },
      }),
    ).toEqual([
      expect.stringContaining("its name cannot be the table's name because it has 64 bytes"),
      expect.stringContaining("collections.b.table: "),
      expect.stringContaining("collections.c.columns"),
      expect.stringContaining("collections.d.table: "),
    ]);
    const renamed = parse({ ...MINIMAL_CONFIG, collections: { [long]: { table: "short" } } });
    expect(renamed.collections?.get(long)?.table).toBe("short");
  });

  test.each([
    ["headrace", "is Headrace's own schema"],
    ["pg_catalog", "is one of PostgreSQL's own schemas"],
  ])("the schema %s cannot be used for tables", (schema, message) => {
    expect(mistakesIn({ postgres: { url: "postgres://h/d", schema } })).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    [{ kafka: { brokers: "a:1", retentionMs: -1 } }, "must be -1 (forever), because kafka.retentionMs is -1"],
    [{ tombstones: { retentionMs: 604_800_000 } }, "must be more than kafka.retentionMs (604800000)"],
  ])("tombstones must be kept longer than records: %j", (change, message) => {
    expect(mistakesIn(change)).toEqual([expect.stringContaining(`tombstones.retentionMs: `)]);
    expect(mistakesIn(change)).toEqual([expect.stringContaining(message)]);
    expect(parse({ ...MINIMAL_CONFIG, ...change, tombstones: { retentionMs: -1 } }).tombstones.retentionMs).toBe(-1);
  });

  test("onHistoryLost cannot be resnapshot without snapshots", () => {
    const mongodb = { ...MINIMAL_CONFIG.mongodb, onHistoryLost: "resnapshot" };
    const kafka = { ...MINIMAL_CONFIG.kafka, onHistoryLost: "resnapshot" };
    expect(mistakesIn({ mongodb, kafka, snapshot: { mode: "never" } })).toEqual([
      expect.stringContaining("mongodb.onHistoryLost: "),
      expect.stringContaining("kafka.onHistoryLost: "),
    ]);
    expect(parse({ ...MINIMAL_CONFIG, mongodb, kafka }).mongodb.onHistoryLost).toBe("resnapshot");
  });

  test("in YAML syntax are reported with their line", () => {
    expect(mistakesOf("name: a\nname: b\n")).toEqual(["Map keys must be unique"]);
    expect(mistakesOf("hello")).toEqual(['"hello" is not valid; expected a mapping']);
    expect(mistakesOf("")).toHaveLength(5);
  });
});

describe("loadConfig", () => {
  test("reads a file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "headrace-config-"));
    try {
      const file = join(folder, "shop.yaml");
      await writeFile(file, stringify(MINIMAL_CONFIG));
      expect((await loadConfig(file, {})).name).toBe("shop");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("reports that the file does not exist", async () => {
    await expect(loadConfig("/no/such.yaml", {})).rejects.toThrow(
      "/no/such.yaml has a mistake:\n  the file does not exist; give another one with --config",
    );
  });
});
