import { expect } from "vitest";
// What becomes of a document, to be read in one go.
import type { NulCharacters } from "../../../src/schemas/mapping/mapping.ts";
import { type Bson, documentBytes, type Field, field } from "../formats/bson-model.ts";
import { columnOf, columnsOf, createTestEncoder, OBJECT_ID } from "./encoding.ts";
import { parseExactly } from "./expected-json.ts";

type Types = Parameters<typeof columnsOf>[0];

/** All fields of `after` but `_id`, JSON parsed; numbers as "number 1". */
export function rowOf(types: Types, fields: readonly Field[], nulCharacters?: NulCharacters) {
  const columns = columnsOf(types);
  const event = createTestEncoder(columns, undefined, nulCharacters).encode(fields);
  const row = Object.fromEntries(
    columns.map(({ name, type }) => {
      const value = columnOf(event, name);
      return [name, type.base === "jsonb" && !type.isArray ? parsed(value) : value];
    }),
  );
  return { ...row, _extra: parsed(columnOf(event, "_extra")), misfits: event.misfits };
}

/** `doc` without its `_id`. */
export function docOf(fields: readonly Field[]): unknown {
  const { _id, ...doc } = parsed(columnOf(createTestEncoder(undefined).encode(fields), "doc")) as Record<
    string,
    unknown
  >;
  expect(_id).toBe(OBJECT_ID.toString("hex"));
  return doc;
}

function parsed(json: unknown): unknown {
  return json === null ? null : parseExactly(json as string);
}

export function encodeId(idType: Parameters<typeof createTestEncoder>[1], id: Bson): unknown {
  const { decode, encoder } = createTestEncoder(undefined, idType);
  const document = documentBytes([field("_id", id)]);
  return decode(encoder.encode({ op: "r", collection: "products", documentKey: document, document, version: 1n }))
    .decodedKey;
}
