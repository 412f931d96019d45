import type { CollectionSchema } from "./mapping/collection-schema.ts";
import type { ValueChild, ValueField } from "./mapping/mapping.ts";
import type { RowChild, RowColumn, RowSchema } from "./row-schema.ts";

/** The RowSchema that the records of a collection will have. */
export function rowSchemaOf({ idType, fields, children }: CollectionSchema): RowSchema {
  return { idType, columns: rowColumns(fields), children: rowChildren(children, []) };
}

function rowColumns(fields: readonly ValueField[]): readonly RowColumn[] {
  return fields.map(({ column, type }) => ({ name: column, sqlType: type.sql }));
}

interface Around {
  readonly name: string;
  readonly place: number;
}

function rowChildren(children: readonly ValueChild[], around: readonly Around[], first = 0): readonly RowChild[] {
  const found: RowChild[] = [];
  for (const { name, fields, hasForeignKey, children: inner } of children) {
    const place = first + found.length;
    found.push({
      suffix: [...around.map((each) => each.name), name].join("_"),
      around: around.map((each) => each.place),
      columns: rowColumns(fields),
      hasForeignKey,
    });
    found.push(...rowChildren(inner, [...around, { name, place }], place + 1));
  }
  return found;
}
