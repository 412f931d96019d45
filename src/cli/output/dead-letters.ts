import type { DeadLetter } from "../../consumers/dead-letters/queries.ts";
import type { DecodedDeadLetter } from "../../operations/dead-letters/decode-dead-letter.ts";
import { cellTexts } from "../../schemas/decoding/cells.ts";
import type { Change } from "../../schemas/row-schema.ts";
import { textTable } from "./text-table.ts";

/** A dead letter as `--json` prints it. The shape must not change. */
export function deadLetterJson({ id, topic, origin, attempts, failedAt, needsSnapshot, info }: DeadLetter): object {
  return {
    id,
    topic,
    partition: origin.partition,
    offset: Number(origin.offset),
    table: info.table,
    code: info.code,
    sqlstate: info.sqlstate,
    message: info.exceptionMessage,
    stage: info.stage,
    attempts,
    failedAt: failedAt.toISOString(),
    needsSnapshot,
  };
}

export function deadLetterTable(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return "No open dead letters.\n";
  const rows = letters.map(({ id, attempts, failedAt, info }) => [
    id,
    info.table ?? "",
    errorText(info),
    attempts,
    failedAt.toISOString(),
  ]);
  return textTable(["id", "table", "error", "attempts", "failed at"], rows);
}

export function shownJson({ details, key, change }: DecodedDeadLetter): object {
  return {
    ...deadLetterJson(details.letter),
    outcome: details.outcome,
    key,
    op: change?.op ?? null,
    version: change === null ? null : String(change.version),
    row: change === null ? null : rowOf(change),
    history: details.history.map(({ attempts, failedAt, info }) => ({
      attempts,
      failedAt: failedAt.toISOString(),
      code: info.code,
      sqlstate: info.sqlstate,
      message: info.exceptionMessage,
    })),
  };
}

export function shownText({ details, key, change }: DecodedDeadLetter): string {
  const { letter, outcome, history } = details;
  const lines = [
    `id        ${letter.id}`,
    `table     ${letter.info.table ?? "unknown"}`,
    `key       ${key ?? "unreadable"}`,
    `state     ${outcome ?? "open"}`,
    ...history.map(({ attempts, failedAt, info }) => {
      const message = info.exceptionMessage ?? "";
      return `failure   ${failedAt.toISOString()}, attempt ${attempts}: ${errorText(info)} ${message}`;
    }),
  ];
  if (letter.needsSnapshot)
    lines.push("record    only a key; headrace dlq replay has a running producer read the document again");
  else if (change === null) lines.push("record    cannot be read");
  else {
    lines.push(`record    op ${change.op}, version ${change.version}`);
    for (const [column, value] of Object.entries(rowOf(change) ?? {}))
      lines.push(`          ${column} = ${value ?? "NULL"}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Values as PostgreSQL's input texts: numbers keep all digits. Null for a delete. */
function rowOf({ rowSchema, cells }: Change): Record<string, string | null> | null {
  if (cells === null) return null;
  const values = cellTexts(cells);
  return Object.fromEntries(rowSchema.columns.map(({ name }, index) => [name, values[index] ?? null]));
}

function errorText({ sqlstate, code }: { readonly sqlstate: string | null; readonly code: string | null }): string {
  return [sqlstate, code].filter((part) => part !== null).join(" ");
}
