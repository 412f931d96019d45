import type { Kind } from "./bson-kinds.ts";

const LONGEST_COMMENT = 140;
const LONGEST_NAME = 40;
const MOST_NAMED = 8;

const NUMBERS = new Intl.NumberFormat("en-US");

/** `1,000`. */
export function numberText(number: number): string {
  return NUMBERS.format(number);
}

/** A share in percent, rounded down, so that 100 % means all. */
export function percentText(part: number, all: number): string {
  const percent = all === 0 ? 0 : Math.floor((100 * Math.min(part, all)) / all);
  return percent === 0 && part > 0 ? "< 1 %" : `${percent} %`;
}

/** A text in one line of bounded length, as it can stand in a comment. */
export function bounded(text: string, most = LONGEST_COMMENT): string {
  const line = text.replaceAll(/[\s\p{C}]+/gu, " ").trim();
  const characters = Array.from(line);
  return characters.length <= most ? line : `${characters.slice(0, most - 1).join("")}…`;
}

/** `date, string`: the kinds seen, the most frequent first. */
export function kindsText(kinds: ReadonlyMap<Kind, number>, itemKinds: ReadonlyMap<Kind, number>): string {
  const items = itemKinds.size === 0 ? "empty array" : `array of ${byFrequency(itemKinds).join(" or ")}`;
  return byFrequency(kinds)
    .map((kind) => (kind === "array" ? items : kind))
    .join(", ");
}

function byFrequency(kinds: ReadonlyMap<Kind, number>): string[] {
  return [...kinds].toSorted(([, a], [, b]) => b - a).map(([kind]) => kind);
}

/** In every text of `misfitsText`. */
export const MISFIT_MARK = " not fit";

/** `3 values do not fit`. */
export function misfitsText(number: number, what: string): string {
  return `${numberText(number)}${what === "" ? "" : ` ${what}`} ${number === 1 ? "does" : "do"}${MISFIT_MARK}`;
}

/** `a, b.c and 12 more`. */
export function pathsText(paths: readonly (readonly string[])[]): string {
  const named = paths.slice(0, MOST_NAMED).map((path) => bounded(path.join("."), LONGEST_NAME));
  const more = paths.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${numberText(more)} more` : ""}`;
}
