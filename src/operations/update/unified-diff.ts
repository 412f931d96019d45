import { applied } from "./yaml-insertion.ts";
import type { Insertion } from "./yaml-insertion.ts";

/** A line of a diff: kept, removed or added. */
interface DiffLine {
  readonly sign: " " | "-" | "+";
  /** With its newline, if it has one. */
  readonly text: string;
}

const CONTEXT_LINES = 3;

/** The insertions as a unified diff, as `patch` and `git apply` take it. Empty without insertions. */
export function unifiedDiff(file: string, text: string, insertions: readonly Insertion[]): string {
  if (insertions.length === 0) return "";
  const lines = diffLines(text, insertions);
  return `--- ${file}\n+++ ${file}\n${hunks(lines)
    .map((range) => hunkText(lines, range))
    .join("")}`;
}

function diffLines(text: string, insertions: readonly Insertion[]): DiffLine[] {
  const lines: DiffLine[] = [];
  let start = 0;
  for (const line of splitLines(text)) {
    const end = start + line.length;
    const isLast = end === text.length;
    const inLine = insertions.filter(({ offset }) => offset >= start && (offset < end || (isLast && offset === end)));
    lines.push(...changedLine(line, start, inLine));
    start = end;
  }
  return lines;
}

/** A line with what is inserted before, in or after it. */
function changedLine(line: string, start: number, insertions: readonly Insertion[]): DiffLine[] {
  const here = insertions.map(({ offset, text }) => ({ offset: offset - start, text }));
  const added = splitLines(applied(line, here));
  const kept = added.indexOf(line);
  if (kept === -1) return [{ sign: "-", text: line }, ...added.map((text) => ({ sign: "+" as const, text }))];
  return added.map((text, index) => ({ sign: index === kept ? " " : "+", text }));
}

function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** The changes with the lines around them. Neighbours are joined. */
function hunks(lines: readonly DiffLine[]): Range[] {
  const ranges: Range[] = [];
  for (const [index, { sign }] of lines.entries()) {
    if (sign === " ") continue;
    const from = Math.max(0, index - CONTEXT_LINES);
    const to = Math.min(lines.length, index + CONTEXT_LINES + 1);
    const last = ranges.at(-1);
    if (last !== undefined && from <= last.to) ranges[ranges.length - 1] = { from: last.from, to };
    else ranges.push({ from, to });
  }
  return ranges;
}

function hunkText(lines: readonly DiffLine[], { from, to }: Range): string {
  const countOld = (part: readonly DiffLine[]) => part.filter(({ sign }) => sign !== "+").length;
  const countNew = (part: readonly DiffLine[]) => part.filter(({ sign }) => sign !== "-").length;
  const before = lines.slice(0, from);
  const part = lines.slice(from, to);
  const place = (count: number, above: number) => `${count === 0 ? above : above + 1},${count}`;
  const header = `@@ -${place(countOld(part), countOld(before))} +${place(countNew(part), countNew(before))} @@\n`;
  const body = part.map(({ sign, text }) =>
    text.endsWith("\n") ? `${sign}${text}` : `${sign}${text}\n\\ No newline at end of file\n`,
  );
  return header + body.join("");
}
