import type { Type, types } from "avsc";
import { z } from "zod";
import type { Operation } from "../change-event.ts";
import type { AvroReader } from "../formats/avro-reader.ts";
import { type Skip, skipOf } from "../formats/avro-skip.ts";
import { avroTypeName } from "../formats/avro-type.ts";
import { idAvroTypeName } from "../mapping/envelope.ts";
import type { IdType } from "../mapping/mapping.ts";
import type { RegisteredSchema } from "../registry/registry.ts";
import type { ChildRows, RowSchema } from "../row-schema.ts";
import type { CellWriter } from "./cells.ts";
import { childReaders, fieldDefinition, readColumns, rowChildren } from "./child-reader.ts";
import type { ChildReader } from "./child-reader.ts";
import type { WriteCell } from "./column-cell.ts";
import { idTypeName } from "./key-reader.ts";

/** Reads envelopes of one registered value schema. */
export interface EnvelopeReader {
  readonly rowSchema: RowSchema;
  /**
   * Writes the cells of `after`, unless it is null.
   * @throws TypeError if the bytes are not such an envelope
   */
  readonly readEnvelope: (reader: AvroReader, cells: CellWriter) => Envelope;
}

export interface Envelope {
  readonly op: Operation;
  /** `source.cluster_time` */
  readonly version: bigint;
  /** The bytes of `_id` in `after`; undefined if `after` is null. */
  readonly id: { readonly start: number; readonly end: number } | undefined;
  /** As in `Change`. */
  readonly children: readonly ChildRows[];
}

const envelopeDefinition = z.object({
  fields: z.tuple(
    [
      z.object({
        name: z.literal("before"),
        type: z.tuple([
          z.literal("null"),
          z.object({
            fields: z.tuple(
              [z.looseObject({ name: z.literal("_id"), "headrace.idType": idTypeName })],
              fieldDefinition,
            ),
          }),
        ]),
      }),
    ],
    z.looseObject({}),
  ),
});

/** @throws Error if Headrace does not write such values. Accepts additional fields of the envelope */
export function envelopeReader({ definition, type }: RegisteredSchema): EnvelopeReader {
  const [before] = envelopeDefinition.parse(definition).fields;
  const [idField, ...valueFields] = before.type[1].fields;
  const idType = idField["headrace.idType"];
  const value = (fieldOf(type, "before").type as types.UnwrappedUnionType).types[1];
  const [id, ...fields] = value === undefined ? [] : fieldsOf(value);
  const { columns, writeCells } = readColumns(valueFields, fields);
  const children = childReaders(valueFields, fields, { around: [], first: 0 });
  const row = { idType, id: id?.type, writeCells, children };
  const parts = fieldsOf(type).map(({ name, type: part }): ReadPart => {
    if (name === "after") return afterPart(part, value, row);
    if (name === "source") return sourcePart(part);
    return name === "op" ? opPart(part) : skipOf(part);
  });
  for (const name of ["after", "source", "op"]) fieldOf(type, name);
  return {
    rowSchema: { idType, columns, children: rowChildren(children) },
    readEnvelope(reader, cells) {
      const found: Found = { op: undefined, version: 0n, id: undefined, children: [] };
      for (const part of parts) part(reader, found, cells);
      reader.end();
      const { op, version, id, children: rows } = found;
      if (op === undefined) throw new TypeError("`op` is not one of c, u, d, r, t");
      if (version < 0n) throw new TypeError("`source.cluster_time` is negative");
      return { op, version, id, children: rows };
    },
  };
}

interface Found {
  op: Envelope["op"] | undefined;
  version: Envelope["version"];
  id: Envelope["id"];
  children: Envelope["children"];
}

/** Reads a field of the envelope, or of its source. */
type ReadPart = (reader: AvroReader, found: Found, cells: CellWriter) => void;

interface RowParts {
  readonly idType: IdType;
  readonly id: Type | undefined;
  readonly writeCells: readonly WriteCell[];
  readonly children: readonly ChildReader[];
}

function afterPart(type: Type, value: Type | undefined, { idType, id, writeCells, children }: RowParts): ReadPart {
  const branches = avroTypeName(type) === "union" ? (type as types.UnwrappedUnionType).types : [];
  const [nothing, row] = branches;
  if (branches.length !== 2 || nothing?.typeName !== "null" || row === undefined || row !== value)
    throw new TypeError("`after` does not have the type of `before`");
  if (id === undefined || avroTypeName(id) !== idAvroTypeName(idType))
    throw new TypeError("`_id` has another type than headrace.idType");
  const skipId = skipOf(id);
  return (reader, found, cells) => {
    if (reader.readBranch(2) !== 1) return;
    found.id = readRow(reader, cells, skipId, writeCells);
    if (children.length > 0) found.children = readChildren(reader, children);
  };
}

function readRow(reader: AvroReader, cells: CellWriter, skipId: Skip, writeCells: readonly WriteCell[]) {
  const start = reader.position;
  skipId(reader);
  const end = reader.position;
  // Most texts have as many bytes as in Avro, plus up to four for their length.
  cells.beginRow(reader.bytes.length + 4 * writeCells.length);
  for (const writeCell of writeCells) writeCell(reader, cells);
  return { start, end };
}

function readChildren(reader: AvroReader, children: readonly ChildReader[]): readonly ChildRows[] {
  for (const child of children) {
    child.begin();
    child.read(reader, []);
  }
  return children.flatMap((child) => child.take());
}

function sourcePart(type: Type): ReadPart {
  const time = fieldOf(type, "cluster_time");
  if (avroTypeName(time.type) !== "long") throw new TypeError("`source.cluster_time` is not a long");
  const parts = fieldsOf(type).map((field): ReadPart => (field === time ? readVersion : skipOf(field.type)));
  return (reader, found, cells) => {
    for (const part of parts) part(reader, found, cells);
  };
}

function readVersion(reader: AvroReader, found: Found): void {
  reader.readLong();
  found.version = reader.bigint;
}

const OPERATIONS: readonly Operation[] = ["c", "u", "d", "r", "t"];
/** Indexed by character code. */
const BY_CODE = OPERATIONS.reduce<Operation[]>((all, op) => Object.assign(all, { [op.charCodeAt(0)]: op }), []);

function opPart(type: Type): ReadPart {
  if (avroTypeName(type) !== "string") throw new TypeError("`op` is not a string");
  return (reader, found) => {
    const length = reader.readLength();
    found.op = length === 1 ? BY_CODE[reader.bytes[reader.position] as number] : undefined;
    reader.skip(length);
  };
}

function fieldsOf(type: Type): readonly types.Field[] {
  if (avroTypeName(type) !== "record") throw new TypeError(`${type.typeName} in place of a record`);
  return (type as types.RecordType).fields;
}

function fieldOf(type: Type, name: string): types.Field {
  const found = fieldsOf(type).find((field) => field.name === name);
  if (found === undefined) throw new TypeError(`the field ${name} is missing`);
  return found;
}
