import type { Type, types } from "avsc";
import { z } from "zod";
import type { AvroReader } from "../formats/avro-reader.ts";
import { avroTypeName } from "../formats/avro-type.ts";
import { parseColumnType } from "../mapping/column-type.ts";
import type { ChildRows, RowChild, RowColumn } from "../row-schema.ts";
import { CellWriter } from "./cells.ts";
import { cellOf, type WriteCell } from "./column-cell.ts";

const columnDefinition = z.object({ "headrace.column": z.string(), "headrace.type": z.string() });

interface ChildDefinition {
  "headrace.child": string;
  "headrace.foreignKey"?: "true" | undefined;
  type: [unknown, { items: { fields: readonly FieldDefinition[] } }];
}

/** A column's field of `Value`, or a child's. */
export type FieldDefinition = z.output<typeof columnDefinition> | ChildDefinition;

const childDefinition: z.ZodType<ChildDefinition> = z.object({
  "headrace.child": z.string(),
  "headrace.foreignKey": z.literal("true").optional(),
  get type() {
    return z.tuple([z.literal("null"), z.object({ items: z.object({ fields: z.array(fieldDefinition) }) })]);
  },
});

/** The definition of a field after `_id`: columns come before children. */
export const fieldDefinition: z.ZodType<FieldDefinition> = z.union([columnDefinition, childDefinition]);

/** The columns among the fields of a record, and how their cells are written. */
export function readColumns(
  definitions: readonly FieldDefinition[],
  fields: readonly types.Field[],
): { readonly columns: readonly RowColumn[]; readonly writeCells: readonly WriteCell[] } {
  const firstChild = definitions.findIndex((definition) => "headrace.child" in definition);
  if (firstChild >= 0 && definitions.slice(firstChild).some((definition) => "headrace.column" in definition))
    throw new TypeError("a column comes after a child");
  const found = definitions.flatMap((definition, index) =>
    "headrace.column" in definition ? [{ definition, field: fields[index] as types.Field }] : [],
  );
  const parsed = found.map(({ definition }) => parseColumnType(definition["headrace.type"]));
  return {
    columns: parsed.map(({ sql }, index) => ({
      name: found[index]?.definition["headrace.column"] ?? "",
      sqlType: sql,
    })),
    writeCells: parsed.map((column, index) => cellOf(column, (found[index] as (typeof found)[number]).field.type)),
  };
}

/** Reads the arrays of one child, of one row after the other. */
export class ChildReader {
  readonly child: RowChild;
  /** In the elements. */
  readonly inner: readonly ChildReader[];
  readonly #writeCells: readonly WriteCell[];
  readonly #cells = new CellWriter();
  #rows = 0;
  #lengths: number[] = [];

  /** @param place of the child in `RowSchema.children`; its inner ones follow */
  constructor(definition: ChildDefinition, type: Type, around: readonly RowChildPlace[], place: number) {
    const record = elementOf(type);
    const definitions = definition.type[1].items.fields;
    const { columns, writeCells } = readColumns(definitions, record.fields);
    this.#writeCells = writeCells;
    const suffix = [...around.map(({ name }) => name), definition["headrace.child"]].join("_");
    this.child = {
      suffix,
      around: around.map((each) => each.place),
      columns,
      hasForeignKey: definition["headrace.foreignKey"] === "true",
    };
    this.inner = childReaders(definitions, record.fields, {
      around: [...around, { name: definition["headrace.child"], place }],
      first: place + 1,
    });
  }

  /** Forgets the row before. */
  begin(): void {
    this.#rows = 0;
    this.#lengths = [];
    this.#cells.beginRow(0);
    for (const each of this.inner) each.begin();
  }

  /** @param positions of the element around it, from the outside; empty for the document */
  read(reader: AvroReader, positions: readonly number[]): void {
    const length = reader.readBranch(2) === 1 ? this.#readElements(reader, positions) : 0;
    this.#lengths.push(length);
  }

  /** The rows, and those of the inner ones, in the order of `RowSchema.children`. */
  take(): readonly ChildRows[] {
    const own = { rows: this.#rows, cells: this.#cells.takeRow(), lengths: this.#lengths };
    return [own, ...this.inner.flatMap((each) => each.take())];
  }

  #readElements(reader: AvroReader, positions: readonly number[]): number {
    let length = 0;
    for (let count = reader.readBlock(); count > 0; count = reader.readBlock()) {
      for (; count > 0; count--) this.#readElement(reader, [...positions, length++]);
    }
    return length;
  }

  #readElement(reader: AvroReader, positions: readonly number[]): void {
    const cells = this.#cells;
    this.#rows++;
    for (const position of positions) {
      cells.beginCell();
      cells.appendInteger(position);
      cells.endCell();
    }
    for (const writeCell of this.#writeCells) writeCell(reader, cells);
    for (const each of this.inner) each.read(reader, positions);
  }
}

interface RowChildPlace {
  readonly name: string;
  readonly place: number;
}

/**
 * The readers of the children among the fields of a record.
 * @throws TypeError if a child does not have the type of one
 */
export function childReaders(
  definitions: readonly FieldDefinition[],
  fields: readonly types.Field[],
  { around, first }: { readonly around: readonly RowChildPlace[]; readonly first: number },
): readonly ChildReader[] {
  let place = first;
  return definitions.flatMap((definition, index) => {
    if (!("headrace.child" in definition)) return [];
    const reader = new ChildReader(definition, (fields[index] as types.Field).type, around, place);
    place += countReaders(reader);
    return [reader];
  });
}

function countReaders({ inner }: ChildReader): number {
  return 1 + inner.reduce((count, each) => count + countReaders(each), 0);
}

/** The children of the readers, at every level, in the order of `RowSchema.children`. */
export function rowChildren(readers: readonly ChildReader[]): readonly RowChild[] {
  return readers.flatMap(({ child, inner }) => [child, ...rowChildren(inner)]);
}

/** The record type of the elements of a child's type. */
function elementOf(type: Type): types.RecordType {
  const [nothing, array, ...others] = avroTypeName(type) === "union" ? (type as types.UnwrappedUnionType).types : [];
  if (nothing?.typeName !== "null" || array === undefined || avroTypeName(array) !== "array" || others.length > 0)
    throw new TypeError("a child is not a nullable array");
  const element = (array as types.ArrayType).itemsType;
  if (avroTypeName(element) !== "record") throw new TypeError("a child's elements are not records");
  return element as types.RecordType;
}
