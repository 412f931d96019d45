import type { CollectionResult, VerifyResult } from "../../verify/result.ts";
import { textTable } from "./text-table.ts";

/** The most keys that each list shows; `--json` has more. */
const NAMED_KEYS = 20;
/** Longer keys are cut. */
const KEY_CHARACTERS = 100;

/** The result of `verify` for people: a table of counts, then the keys. */
export function verifyReport({ equal, caughtUp, collections }: VerifyResult): string {
  const lines = [countsTable(collections), ...collections.flatMap(keyLines)];
  if (caughtUp === false) {
    lines.push(
      "The pipeline did not catch up in time, so these keys may only be late. Check `headrace status`, or allow more time with --wait SECONDS.",
    );
  }
  lines.push(verdict(equal, collections));
  return `${lines.join("\n")}\n`;
}

function verdict(equal: boolean, collections: readonly CollectionResult[]): string {
  if (!equal) return "Not equal.";
  return collections.some(({ deadLetteredCount }) => deadLetteredCount > 0)
    ? "Equal, except the keys with an open dead letter."
    : "Equal: every document was compared with its row.";
}

function countsTable(collections: readonly CollectionResult[]): string {
  // Rare, and only where arrays have tables of their own.
  const hasOrphans = collections.some(({ orphanedCount }) => orphanedCount > 0);
  const counts = ["missing", "extra", "different", ...(hasOrphans ? ["orphaned"] : []), "dead letters"];
  return textTable(
    ["collection", "table", "documents", "rows", ...counts],
    collections.map((each) => [
      each.collection,
      each.table,
      each.documents,
      each.rows,
      each.missingCount,
      each.extraCount,
      each.differentCount,
      ...(hasOrphans ? [each.orphanedCount] : []),
      each.deadLetteredCount,
    ]),
  );
}

function keyLines(result: CollectionResult): string[] {
  const { collection, table } = result;
  const columns = Object.entries(result.differentColumns).map(([name, count]) => `${name} ${formatted(count)}`);
  return [
    ...keyList(`Missing in ${table}`, result.missing, result.missingCount),
    ...keyList(`Extra in ${table}, not in the collection ${collection}`, result.extra, result.extraCount),
    ...keyList(`Different in ${table} (${columns.join(", ")})`, result.different, result.differentCount),
    ...keyList(
      `Orphaned: not in ${table}, but in the tables of its arrays, whose rows \`headrace verify --repair\` deletes`,
      result.orphaned,
      result.orphanedCount,
    ),
    ...keyList(
      `Not up to date in ${table}, because of an open dead letter`,
      result.deadLettered,
      result.deadLetteredCount,
    ),
  ];
}

function keyList(title: string, keys: readonly string[], count: number): string[] {
  if (count === 0) return [];
  const named = keys.slice(0, NAMED_KEYS);
  const more = count > named.length ? [`  … and ${formatted(count - named.length)} more`] : [];
  return [`${title}:`, ...named.map((key) => `  ${shown(key)}`), ...more, ""];
}

/** Keeps a key on one line, whatever it contains. */
function shown(key: string): string {
  const text = /[\p{Cc}\p{Cf}]/u.test(key) || key.trim() !== key || key === "" ? JSON.stringify(key) : key;
  return text.length > KEY_CHARACTERS ? `${text.slice(0, KEY_CHARACTERS)}…` : text;
}

function formatted(count: number): string {
  return count.toLocaleString("en");
}
