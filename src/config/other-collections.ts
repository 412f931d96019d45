import * as z from "zod";

/** The key of `collections` for all that the others do not name. */
export const OTHERS = "*";

const patterns = z
  .array(z.string().refine((pattern) => !/^$|[\0$]/.test(pattern), "is not a pattern for names of collections"))
  .refine((list) => list.length > 0, "is empty; omit it");

/** The settings that only `"*"` has. */
export const othersShape = {
  include: patterns
    .optional()
    .describe(
      'Only of `"*"`: patterns for the names of the collections to take. In a pattern `*` stands for any characters, also none, and `?` for one; it must match the whole name. Default: all.',
    ),
  exclude: patterns
    .optional()
    .describe('Only of `"*"`: patterns for the names of collections to leave out. They go before `include`.'),
};

interface OthersInput {
  readonly table?: unknown;
  readonly children?: unknown;
  readonly include?: unknown;
  readonly exclude?: unknown;
}

interface Mistake {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What contradicts what: patterns, and named collections. @param inputs by collection, perhaps with other mistakes */
export function othersMistakes(
  inputs: readonly (readonly [name: string, input: OthersInput | undefined])[],
): Mistake[] {
  const named = inputs.map(([name]) => name).filter((name) => name !== OTHERS);
  return inputs.flatMap(([name, input = {}]) =>
    name === OTHERS ? mistakesOfOthers(input, named) : mistakesOfNamed(name, input),
  );
}

function mistakesOfNamed(name: string, input: OthersInput): Mistake[] {
  return (["include", "exclude"] as const)
    .filter((key) => input[key] !== undefined)
    .map((key) => ({ path: [name, key], message: `belongs to "${OTHERS}", which stands for all that is not named` }));
}

function mistakesOfOthers({ include, exclude, ...input }: OthersInput, named: readonly string[]): Mistake[] {
  const included = textsOf(include);
  const mistakes = textsOf(exclude).flatMap((pattern, index): Mistake[] => {
    const complaint = excludeComplaint(pattern, included, named);
    return complaint === null ? [] : [{ path: [OTHERS, "exclude", index], message: complaint }];
  });
  const message = `is for one collection; the tables of "${OTHERS}" have the names of the collections`;
  const ofOne = (["table", "children"] as const).filter((key) => input[key] !== undefined);
  return [...mistakes, ...ofOne.map((key) => ({ path: [OTHERS, key], message }))];
}

function excludeComplaint(pattern: string, included: readonly string[], named: readonly string[]): string | null {
  if (/^\*+$/.test(pattern))
    return `matches every name; omit "${OTHERS}" to replicate only the collections that are named`;
  if (included.includes(pattern)) return "is in include, too";
  return named.includes(pattern) ? "is named in `collections`, and what is named is replicated" : null;
}

function textsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
}
