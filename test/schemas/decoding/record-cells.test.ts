import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cellTexts } from "../../../src/schemas/decoding/cells.ts";
import { decodeRecord } from "../../../src/schemas/decoding/record-decoder.ts";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { escapeAvroName } from "../../../src/schemas/mapping/avro-name.ts";
import { collectionSchema } from "../../../src/schemas/mapping/collection-schema.ts";
import { avroTypeOf, parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
// avsc decides what records contain, and which bytes are not a record.
import type { ColumnMapping } from "../../../src/schemas/mapping/mapping.ts";
import type { SchemaRegistry } from "../../../src/schemas/registry/registry.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { COLUMN_TYPES } from "../formats/arbitrary-bson.ts";
import { expectedTextOf } from "./expected-text.ts";

const SOURCE = {
  version: "0.1.0",
  connector: "mongodb",
  name: "shop",
  ts_ms: 1_700_000_000_000n,
  snapshot: "false",
  db: "shop",
  collection: "products",
};

const text = fc.oneof(
  fc.string({ unit: "binary" }).map((value) => value.toWellFormed()),
  fc.constantFrom("", '"', "\\", '{"a":"\\""}', "\0", "é".repeat(40), "x".repeat(8_191)),
);
const long = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt(-300n, 300n),
  fc.bigInt(-(10n ** 13n), 10n ** 13n),
  fc.constantFrom(
    ...[31n, 32n, 53n, 62n].flatMap((bits) => [2n ** bits, 2n ** bits - 1n, -(2n ** bits), 1n - 2n ** bits]),
  ),
  // Years 0 and 1, 9999 and 10000, and a day's last moment before 1970.
  fc.constantFrom(-62_135_596_800_001n, -62_135_596_800_000n, -62_167_219_200_001n, 253_402_300_800_000n, -1n),
);
const VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  string: text,
  int: fc.integer(),
  long,
  double: fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 1e9, -1e9, 1e21, 5e-324)),
  boolean: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
};

/** A column's type, and the type that its values have in Avro; `widened` if that is the column's older type. */
const column = fc
  .record({
    sql: fc.constantFrom(...COLUMN_TYPES),
    isArray: fc.boolean(),
    widened: fc.constantFrom(undefined, "long", "string"),
  })
  .map(({ sql, isArray, widened }) => ({
    type: parseColumnType(isArray ? `${sql}[]` : sql),
    // A long is never widened to an int.
    widened: sql === "date" && widened === "long" ? undefined : widened,
  }));

type Column = typeof column extends fc.Arbitrary<infer T> ? T : never;

function valueOf({ type, widened }: Column): fc.Arbitrary<unknown> {
  const avro = JSON.stringify(avroTypeOf(type));
  const own = VALUES[/"(string|int|long|double|boolean|bytes)"/.exec(avro)?.[1] ?? ""] as fc.Arbitrary<unknown>;
  if (type.isArray) return fc.option(fc.array(fc.option(own), { maxLength: 5 }));
  return fc.option(widened === undefined ? own : fc.oneof(own, VALUES[widened] as fc.Arbitrary<unknown>));
}

function schemaOf(columns: readonly Column["type"][]) {
  const mappings = columns.map((type, index): ColumnMapping => ({ name: `c ${index}`, path: [`c${index}`], type }));
  const origin = { name: "shop", database: "shop", topic: "shop.shop.products" };
  return collectionSchema(
    { collection: "products", mode: "columns", columns: mappings, children: [], idType: "string" },
    "string",
    origin,
  );
}

/** As the producer registers it. Unions of widened columns have a branch of the older type. */
function writerSchema(columns: readonly Column[]): unknown {
  const { valueSchema } = schemaOf(columns.map(({ type }) => type));
  const definition = JSON.parse(JSON.stringify(valueSchema)) as {
    fields: { type: [string, { fields: { type: unknown[] }[] }] }[];
  };
  for (const [index, { type, widened }] of columns.entries()) {
    const union = definition.fields[0]?.type[1].fields[index + 1]?.type as unknown[];
    const own = JSON.stringify(union[1]);
    if (widened !== undefined && !type.isArray && !own.includes(`"${widened}"`)) union.splice(1, 0, widened);
  }
  return definition;
}

function framed(id: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, body]);
}

/** Both schemas are known. */
function openTopic(columns: readonly Column[]) {
  const keySchema = schemaOf([]).keySchema;
  const definition = writerSchema(columns);
  const [key, value] = [
    { id: 1, definition: keySchema, type: avroType(keySchema) },
    { id: 2, definition, type: avroType(definition) },
  ];
  const registry = { cached: (id: number) => (id === 1 ? key : value) } as unknown as SchemaRegistry;
  const expectedTexts = columns.map(({ type }) => expectedTextOf(type));
  return {
    write: (id: string, values: readonly unknown[], extra: string | null) => {
      const after = Object.fromEntries(values.map((each, index) => [escapeAvroName(`c ${index}`), each]));
      const envelope = {
        before: null,
        after: { _id: id, ...after, _extra: extra },
        source: { ...SOURCE, cluster_time: 7n, ts_us: null, ord: null },
        op: "u",
        ts_ms: 1n,
      };
      return { key: framed(1, key.type.toBuffer({ _id: id })), value: framed(2, value.type.toBuffer(envelope)) };
    },
    read: (record: { key: Buffer; value: Buffer }) => decodeRecord(registry, record.key, record.value) as Change,
    /** From avsc. */
    expected: (record: { value: Buffer }): (string | null)[] => {
      const { after } = value.type.fromBuffer(record.value.subarray(5)) as { after: Record<string, unknown> };
      const [, ...values] = Object.values(after);
      return [...expectedTexts.map((textOf, index) => textOf(values[index])), values.at(-1) as string | null];
    },
  };
}

const topic = fc.array(column, { maxLength: 6 }).chain((columns) =>
  fc.record({
    columns: fc.constant(columns),
    rows: fc.array(fc.record({ id: text, values: fc.tuple(...columns.map(valueOf)), extra: fc.option(text) }), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
);

const undecodable = expect.objectContaining({ code: "RECORD_UNDECODABLE", kind: "poison" });

function failureOf(read: () => unknown): unknown {
  try {
    return { read: read() };
  } catch (error) {
    return error;
  }
}

describe("the cells of a record", () => {
  it("contain the values that avsc reads", () => {
    fc.assert(
      fc.property(topic, ({ columns, rows }) => {
        const { write, read, expected } = openTopic(columns);
        const records = rows.map(({ id, values, extra }) => write(id, values, extra));
        const changes = records.map(read);
        expect(changes.map(({ key }) => key)).toEqual(rows.map(({ id }) => id));
        expect(changes.map(({ cells }) => cellTexts(cells as Buffer))).toEqual(records.map(expected));
      }),
      { numRuns: 500 },
    );
  });

  it("do not change while other records are read, also huge and invalid ones", () => {
    const { write, read, expected } = openTopic([{ type: parseColumnType("bytea"), widened: undefined }]);
    const records = Array.from({ length: 300 }, (_, index) => {
      const bytes = Buffer.alloc(index % 10 === 0 ? 400_000 : index * 20, index);
      return write(`k${index}`, [bytes], `{"n":${index}}`);
    });
    const changes = records.map((record) => {
      const cut = { ...record, value: record.value.subarray(0, -20) };
      expect(() => read(cut)).toThrow();
      return read(record);
    });
    expect(changes.map(({ cells }) => cellTexts(cells as Buffer))).toEqual(records.map(expected));
  });
});

describe("bytes that are not a record", () => {
  it("because they are truncated at any place", () => {
    fc.assert(
      fc.property(topic, ({ columns, rows: [row] }) => {
        const { write, read } = openTopic(columns);
        const { key, value } = write(row!.id, row!.values, row!.extra);
        // The bytes after it must not be read instead.
        const fetched = Buffer.concat([value, value]);
        const step = Math.ceil(value.length / 200);
        for (let length = 0; length < value.length; length += step) {
          expect(failureOf(() => read({ key, value: fetched.subarray(0, length) }))).toEqual(undecodable);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("with a wrong byte are poison, or contain the values that avsc reads", () => {
    const changed = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(topic, changed, ({ columns, rows: [row] }, changes) => {
        const { write, read, expected } = openTopic(columns);
        const record = write(row!.id, row!.values, row!.extra);
        for (const [at, byte] of changes) record.value[5 + (at % (record.value.length - 5))] = byte;
        const outcome = failureOf(() => cellsIn(read(record))) as { read: unknown };
        if (outcome instanceof Error) expect(outcome).toEqual(undecodable);
        else expect(outcome.read).toEqual(expected(record));
      }),
      { numRuns: 3_000 },
    );
  });

  it.each<[string, string, unknown]>([
    ["text", "text", "a§b"],
    ["long text", "text", `${"x".repeat(100)}§`],
    ["text in an array", "text[]", ["a", "§"]],
  ])("because a %s is not UTF-8", (_what, sql, value) => {
    const { write, read } = openTopic([{ type: parseColumnType(sql), widened: undefined }]);
    const record = write("k", [value], null);
    expect(cellTexts(read(record).cells as Buffer)[0]).toContain("§");
    record.value[record.value.indexOf("§")] = 0xff;
    expect(failureOf(() => read(record))).toEqual(undecodable);
  });

  it.each([1, 4, 0x80])("because a union has no branch %i", (branch) => {
    const { write, read } = openTopic([{ type: parseColumnType("text"), widened: undefined }]);
    const record = write("k", [null], null);
    const column = record.value.indexOf("k") + 1;
    expect(record.value[column]).toBe(0);
    record.value[column] = branch;
    expect(failureOf(() => read(record))).toEqual(undecodable);
  });

  it("because a key is not UTF-8", () => {
    const { write, read } = openTopic([]);
    const record = write("a§", [], null);
    for (const bytes of [record.key, record.value]) bytes[bytes.indexOf("§")] = 0xff;
    expect(failureOf(() => read(record))).toMatchObject({ code: "KEY_UNDECODABLE", kind: "poison" });
  });
});

/** Null for a delete or truncate. */
function cellsIn({ cells }: Change): (string | null)[] | null {
  return cells === null ? null : cellTexts(cells);
}
