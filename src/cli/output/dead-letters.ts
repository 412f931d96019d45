import type { DeadLetter } from "../../consumers/dead-letters/letter.ts";
import type { KeyedDeadLetter } from "../../consumers/dead-letters/queries.ts";
import type { DecodedDeadLetter, ReplayProspect } from "../../operations/dead-letters/decode-dead-letter.ts";
import type { ReplayResults } from "../../operations/dead-letters/replay-dead-letters.ts";
import { elementRows, rowLines, rowOf } from "./dead-letter-rows.ts";
import { textTable } from "./text-table.ts";

/** A dead letter as `--json` prints it. The shape must not change. */
export function deadLetterJson(letter: DeadLetter): object {
  const { id, topic, table, origin, attempts, failedAt, needsSnapshot, isGone, info } = letter;
  return {
    id,
    topic,
    partition: origin.partition,
    offset: Number(origin.offset),
    table,
    code: info.code,
    sqlstate: info.sqlstate,
    message: info.exceptionMessage,
    stage: info.stage,
    attempts,
    failedAt: failedAt.toISOString(),
    needsSnapshot,
    recordGone: isGone,
    unusableId: info.unusableId,
  };
}

export function keyedJson(letter: KeyedDeadLetter): object {
  return { ...deadLetterJson(letter), key: letter.key };
}

/** Longer keys are cut; `--json` and `dlq show` print them whole. */
const KEY_CHARACTERS = 60;

const UNREADABLE = "unreadable";
/** What `dlq show` and `dlq replay` say alike. */
const UNASKABLE =
  "the document cannot be read again by its _id. Give it another _id in MongoDB if it is still there, then run `headrace dlq discard ID`.";
const UNKNOWN_TOPIC = "the config does not replicate the collection.";

/** For filters that select nothing: it does not say that all is well. */
export const NO_MATCH = "No open dead letters match.\n";

export function deadLetterTable(letters: readonly KeyedDeadLetter[], isFiltered: boolean): string {
  if (letters.length === 0) return isFiltered ? NO_MATCH : "No open dead letters.\n";
  const rows = letters.map(({ id, table, key, attempts, failedAt, isGone, info }) => [
    id,
    table ?? "",
    keyText(key ?? info.unusableId ?? UNREADABLE),
    isGone ? `${errorText(info)}, its record is gone` : errorText(info),
    attempts,
    failedAt.toISOString(),
  ]);
  return textTable(["id", "table", "key", "error", "attempts", "failed at"], rows);
}

function keyText(key: string): string {
  const visible = key.replaceAll(/\p{Cc}/gu, "�");
  return visible.length > KEY_CHARACTERS ? `${visible.slice(0, KEY_CHARACTERS)}…` : visible;
}

export function shownJson({ details, key, change }: DecodedDeadLetter): object {
  return {
    ...deadLetterJson(details.letter),
    outcome: details.outcome,
    key,
    op: change?.op ?? null,
    version: change === null ? null : String(change.version),
    row: change === null ? null : rowOf(change),
    ...(change === null || change.children.length === 0 ? {} : { children: elementRows(change) }),
    history: details.history.map(({ attempts, failedAt, info }) => ({
      attempts,
      failedAt: failedAt.toISOString(),
      code: info.code,
      sqlstate: info.sqlstate,
      message: info.exceptionMessage,
    })),
  };
}

export function shownText({ details, key, change, replay }: DecodedDeadLetter): string {
  const { letter, outcome, history } = details;
  const { unusableId } = letter.info;
  const lines = [
    `id        ${letter.id}`,
    `table     ${letter.table ?? "unknown"}`,
    `key       ${key ?? (unusableId === null ? UNREADABLE : `${unusableId}, which cannot be a key`)}`,
    `state     ${outcome ?? "open"}`,
    ...history.map(({ attempts, failedAt, info }) => {
      const message = info.exceptionMessage ?? "";
      return `failure   ${failedAt.toISOString()}, attempt ${attempts}: ${errorText(info)} ${message}`;
    }),
  ];
  if (letter.isGone) lines.push("record    is gone from Kafka");
  else if (letter.needsSnapshot) lines.push("record    none, because the producer could not write the document");
  else if (change === null) lines.push("record    cannot be read");
  else {
    lines.push(`record    op ${change.op}, version ${change.version}`);
    lines.push(...rowLines(change).map((line) => `          ${line}`));
  }
  if (outcome === null) lines.push(`replay    ${REPLAY_TEXTS[replay]}`);
  return `${lines.join("\n")}\n`;
}

const REPLAY_TEXTS: Readonly<Record<ReplayProspect, string>> = {
  apply: "applies the record if nothing newer is known of its key.",
  reread: "has a running producer read the document again.",
  undecodable: "fails again. `headrace dlq discard ID` closes the dead letter.",
  unaskable: UNASKABLE,
  unknownTopic: UNKNOWN_TOPIC,
};

export function replayText(results: ReplayResults): string {
  const { replayed, superseded, failed, needsSnapshot, unaskable, unknownTopic } = results;
  const lines = [
    `${replayed} replayed.`,
    ...(superseded > 0 ? [`${superseded} superseded: the table already has newer data.`] : []),
    ...(failed > 0 ? [`${failed} failed again. \`headrace dlq list\` shows the errors.`] : []),
    ...(needsSnapshot > 0
      ? [
          `${needsSnapshot} still open: a producer must read their documents again, and none seems to be running. Start \`headrace produce\`, then replay them again.`,
        ]
      : []),
    ...(unaskable > 0 ? [`${unaskable} still open: ${UNASKABLE}`] : []),
    ...(unknownTopic > 0 ? [`${unknownTopic} still open: ${UNKNOWN_TOPIC}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function errorText({ sqlstate, code }: { readonly sqlstate: string | null; readonly code: string | null }): string {
  return [sqlstate, code].filter((part) => part !== null).join(" ");
}
