import type { ChildMapping, CollectionMapping } from "../../schemas/mapping/mapping.ts";

/** The table of a child, and where its elements are in a document. */
export interface ComparedChild {
  /** Its table has the name of the documents' table, `_`, and this: `items_taxes`. */
  readonly suffix: string;
  /** Its name in results: `items.taxes`. */
  readonly label: string;
  readonly mapping: ChildMapping;
  /** The arrays that lead to an element, each in an element of the one before; its own is the last. */
  readonly arrays: readonly ChildMapping[];
}

/** The children of a collection at every level, each before those in its elements. */
export function comparedChildren(
  { children }: Pick<CollectionMapping, "children">,
  around: readonly ChildMapping[] = [],
): readonly ComparedChild[] {
  return children.flatMap((mapping) => {
    const arrays = [...around, mapping];
    const names = arrays.map(({ name }) => name);
    const own: ComparedChild = { suffix: names.join("_"), label: names.join("."), mapping, arrays };
    return [own, ...comparedChildren(mapping, arrays)];
  });
}

/** The columns to compare of a child's table: the positions of the arrays from the outside, then those of an element. */
export function childColumns({ mapping, arrays }: ComparedChild): readonly string[] {
  const positions = arrays.map((_, level) => (level === 0 ? "_position" : `_position_${level + 1}`));
  return [...positions, ...mapping.columns.map(({ name }) => name), "_extra"];
}
