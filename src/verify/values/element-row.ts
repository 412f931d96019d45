import type { ChildMapping } from "../../schemas/mapping/mapping.ts";
import type { BsonValue } from "./bson.ts";
import { compareColumn, differingFields, isExtra } from "./fields.ts";
import type { Texts } from "./fields.ts";

/**
 * The columns in which a row of a child's table does not match its element; none if they are equal.
 * @param row the columns, then `_extra`
 */
export function differingElement(child: ChildMapping, element: BsonValue, row: Texts): readonly string[] {
  if (child.elements === "values") return differingValue(child, element, row);
  if (element.kind === "document") return differingFields(child, element, row);
  const filled = child.columns.filter((_, i) => (row[i] ?? null) !== null).map(({ name }) => name);
  return isExtra(element, row[child.columns.length] ?? null) ? filled : [...filled, "_extra"];
}

/** The element itself is the value of the one column. */
function differingValue({ columns: [column] }: ChildMapping, element: BsonValue, row: Texts): readonly string[] {
  if (column === undefined) return [];
  const [value = null, extra = null] = row;
  const { equal, holds } = compareColumn(column, element, value);
  const isExtraRight = isExtra(holds ? undefined : element, extra);
  return [...(equal ? [] : [column.name]), ...(isExtraRight ? [] : ["_extra"])];
}
