import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadraceError } from "../../../src/errors/error.ts";
import { fields } from "../formats/arbitrary-bson.ts";
import { type Bson, documentBytes, type Field, field, text } from "../formats/bson-model.ts";
import { columnOf, columnsOf, createTestEncoder, ID_FIELD } from "./encoding.ts";
import { parseExactly } from "./expected-json.ts";

/** Encodes a document in every way that an encoder can read it. */
const ENCODERS = [
  createTestEncoder(undefined),
  createTestEncoder([]),
  createTestEncoder(
    columnsOf({
      a: "text",
      b: "jsonb",
      c: "numeric(5,2)",
      "c.a": { path: ["x.y", "a"], type: "timestamptz" },
      "": { path: ["", "b", "c"], type: "bytea" },
      A: "text[]",
      "0": "jsonb[]",
      "1": "bigint",
    }).map((column) => ({ ...column, name: `column ${column.name}` })),
  ),
];

const INNER: readonly Field[] = [field("w", { type: "double", value: 1.5 }), field("ü", text("€"))];

/** One field of each type, and a nested document. */
const EVERY_TYPE: readonly Field[] = (
  [
    { type: "double", value: 0.1 },
    { type: "int32", value: -7 },
    { type: "int64", value: 7n },
    { type: "date", value: 86_400_000n },
    { type: "timestamp", value: 5n },
    text("text"),
    { type: "symbol", utf8: Buffer.from("s") },
    { type: "code", utf8: Buffer.from("c") },
    { type: "document", fields: INNER },
    { type: "array", items: [text("a"), { type: "int32", value: 1 }] },
    { type: "binary", subtype: 2, bytes: Buffer.from([1, 2]) },
    { type: "binary", subtype: 4, bytes: Buffer.alloc(16) },
    { type: "objectId", bytes: Buffer.alloc(12) },
    { type: "decimal128", bytes: Buffer.alloc(16) },
    { type: "boolean", value: true },
    { type: "regex", pattern: Buffer.from("p"), options: "i" },
    { type: "dbPointer", namespace: Buffer.from("n"), id: Buffer.alloc(12) },
    { type: "codeWithScope", utf8: Buffer.from("c"), scope: INNER },
    { type: "null" },
    { type: "undefined" },
    { type: "minKey" },
    { type: "maxKey" },
  ] satisfies Bson[]
).map((value, index) => field("abcA01"[index % 6]! + "x".repeat(index / 6), value));

const GOOD = documentBytes([ID_FIELD, ...EVERY_TYPE]);

/** Encodes it in all encoders. @returns the codes of the errors. Rethrows anything but a poison HeadraceError */
function codesOf(document: Buffer): readonly string[] {
  return ENCODERS.flatMap((encoder) => {
    try {
      const event = encoder.encodeRaw(document);
      for (const column of ["doc", "_extra"]) {
        const json = columnOf(event, column);
        if (typeof json === "string") parseExactly(json);
      }
      return [];
    } catch (error) {
      if (error instanceof HeadraceError && error.kind === "poison") return [error.code];
      throw error;
    }
  });
}

const MALFORMED = ENCODERS.map(() => "DOCUMENT_UNENCODABLE");

type Edit = (document: Buffer) => Buffer;

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]): Edit => (document) => {
    document[at % document.length] = byte;
    return document;
  }),
  fc
    .tuple(fc.nat(), fc.oneof(fc.integer(), fc.integer({ min: -10, max: 40 })))
    .map(([at, size]): Edit => (document) => {
      if (document.length >= 4) document.writeInt32LE(size, at % (document.length - 3));
      return document;
    }),
  fc.tuple(fc.nat(), fc.nat(9)).map(([at, count]): Edit => (document) => {
    const start = at % document.length;
    return withSize(Buffer.concat([document.subarray(0, start), document.subarray(start + count)]));
  }),
  fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 9 })).map(([at, bytes]): Edit => (document) => {
    const start = at % document.length;
    return withSize(Buffer.concat([document.subarray(0, start), bytes, document.subarray(start)]));
  }),
);

/** The bytes with a correct length, so that the damage is further inside. */
function withSize(document: Buffer): Buffer {
  if (document.length >= 4) document.writeInt32LE(document.length, 0);
  return document.length === 0 ? Buffer.alloc(1) : document;
}

describe("a document that is not well-formed BSON", () => {
  it("is a dead letter if it is truncated at any place", () => {
    for (let length = 0; length < GOOD.length; length++) {
      expect(codesOf(GOOD.subarray(0, length))).toEqual(MALFORMED);
    }
  });

  it("with any changed byte is encoded or a dead letter", () => {
    for (let at = 0; at < GOOD.length; at++) {
      for (const byte of [0, 1, 2, 3, 4, 5, 7, 15, 16, 64, 127, 128, 255, GOOD[at]! - 1, GOOD[at]! + 1]) {
        const damaged = Buffer.from(GOOD);
        damaged[at] = byte;
        codesOf(damaged);
      }
    }
  });

  it("with any changes is encoded or a dead letter", () => {
    fc.assert(
      fc.property(fields, fc.array(edit, { minLength: 1, maxLength: 4 }), (document, edits) => {
        codesOf(edits.reduce((bytes, change) => change(bytes), documentBytes([ID_FIELD, ...document])));
      }),
      { numRuns: 3000 },
    );
  });

  it("of random bytes is encoded or a dead letter", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        codesOf(withSize(Buffer.from(bytes)));
      }),
      { numRuns: 1000 },
    );
  });

  it("does not affect the documents after it", () => {
    fc.assert(
      fc.property(fields, fc.array(edit, { minLength: 1, maxLength: 4 }), (document, edits) => {
        codesOf(edits.reduce((bytes, change) => change(bytes), documentBytes([ID_FIELD, ...document])));
        expect(ENCODERS[1]!.encodeRaw(GOOD).value).toEqual(createTestEncoder([]).encodeRaw(GOOD).value);
      }),
      { numRuns: 300 },
    );
  });

  it.each<[string, (document: Buffer) => void]>([
    ["a boolean of 2", (document) => document.set([8, 97, 0, 2], 4)],
    ["a string without end", (document) => document.set([2, 97, 0, 2, 0, 0, 0, 1, 1], 4)],
    ["a string of length 0", (document) => document.set([2, 97, 0, 0, 0, 0, 0], 4)],
    ["an unknown type", (document) => document.set([20, 97, 0], 4)],
    ["a negative length", (document) => document.set([5, 97, 0, 255, 255, 255, 255], 4)],
    ["a nested document of 4 bytes", (document) => document.set([3, 97, 0, 4, 0, 0, 0], 4)],
    ["a name without end", (document) => document.fill(97, 4, document.length - 1)],
    ["an early end", (document) => document.set([0], 4)],
  ])("is refused for %s", (_what, damage) => {
    const document = Buffer.alloc(40);
    document.writeInt32LE(document.length);
    damage(document);
    expect(codesOf(document)).toEqual(MALFORMED);
  });
});

describe("a key that is not well-formed BSON", () => {
  it.each(["objectId", "string", "integer", "uuid", "mixed"] as const)(
    "is a dead letter among ids of type %s",
    (idType) => {
      const { encoder } = createTestEncoder(undefined, idType);
      fc.assert(
        fc.property(fields, fc.array(edit, { minLength: 1, maxLength: 4 }), ([id], edits) => {
          const bytes = documentBytes([id === undefined ? ID_FIELD : { ...id, name: Buffer.from("_id") }]);
          const documentKey = edits.reduce((key, change) => change(key), bytes);
          try {
            encoder.encode({ op: "d", collection: "products", documentKey, document: null, version: 1n });
          } catch (error) {
            expect(error).toBeInstanceOf(HeadraceError);
            expect(["ID_TYPE_MISMATCH", "KEY_INVALID", "DOCUMENT_UNENCODABLE"]).toContain(
              (error as HeadraceError).code,
            );
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});
