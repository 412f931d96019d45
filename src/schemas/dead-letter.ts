import type { HeadraceError } from "../errors/error.ts";

/** Kafka Connect's prefix. */
const CONNECT = "__connect.errors.";
/** Headrace's own prefix. */
const HEADRACE = "headrace.";

/** The header with a document's key as text, where the key cannot be encoded and is not the record's key. */
export const KEY_HEADER = `${HEADRACE}key`;

/** What a dead letter's headers say. Null where a header is missing, as in records of other programs. */
export interface DeadLetterInfo {
  /** Where the record came from, with `partition` and `offset`. */
  readonly topic: string | null;
  readonly partition: number | null;
  readonly offset: bigint | null;
  /**
   * Kafka's id of that topic; of a dead letter of the producer, the id of the dead-letter topic. A topic that is created
   * again has the same offsets, but another id. Null in dead letters of version 0.1.0, and if the brokers give none.
   */
  readonly topicId: string | null;
  /** The pipeline's name. */
  readonly connectorName: string | null;
  /** The process that wrote the dead letter. */
  readonly taskId: string | null;
  /** KEY_CONVERTER, VALUE_CONVERTER or TASK_PUT where Headrace wrote it. */
  readonly stage: string | null;
  /** The part of Headrace that failed. */
  readonly className: string | null;
  readonly exceptionClass: string | null;
  /** Never holds a document's value. */
  readonly exceptionMessage: string | null;
  readonly exceptionStacktrace: string | null;
  readonly code: string | null;
  readonly sqlstate: string | null;
  /** `schema.table`. */
  readonly table: string | null;
  /** How often applying the record was tried. */
  readonly attempts: number | null;
  readonly version: bigint | null;
  /** Of a document that the producer could not encode again: the offset of its first dead letter. */
  readonly firstOffset: bigint | null;
  /** An `_id` that cannot be a key, as Extended JSON for people: the dead letter has no key then. */
  readonly unusableId: string | null;
  readonly failedAt: Date | null;
}

/** Kafka gives header values as bytes; kafkajs also as strings or, for a name given twice, a list. */
export type HeaderValue = Uint8Array | string | readonly (Uint8Array | string)[] | undefined;

/** Kafka Connect's names where it has one. */
const HEADERS = {
  topic: `${CONNECT}topic`,
  partition: `${CONNECT}partition`,
  offset: `${CONNECT}offset`,
  connectorName: `${CONNECT}connector.name`,
  taskId: `${CONNECT}task.id`,
  stage: `${CONNECT}stage`,
  className: `${CONNECT}class.name`,
  exceptionClass: `${CONNECT}exception.class.name`,
  exceptionMessage: `${CONNECT}exception.message`,
  exceptionStacktrace: `${CONNECT}exception.stacktrace`,
  code: `${HEADRACE}code`,
  sqlstate: `${HEADRACE}sqlstate`,
  table: `${HEADRACE}table`,
  attempts: `${HEADRACE}attempts`,
  version: `${HEADRACE}version`,
  firstOffset: `${HEADRACE}first_offset`,
  topicId: `${HEADRACE}topic_id`,
  unusableId: `${HEADRACE}unusable_id`,
  failedAt: `${HEADRACE}failed_at`,
} as const satisfies Record<keyof DeadLetterInfo, string>;

/** Whether a header belongs to a dead letter, and not to the record itself. */
export function isDeadLetterHeader(name: string): boolean {
  return name.startsWith(CONNECT) || name.startsWith(HEADRACE);
}

/** The headers of a dead letter; a field that is null or missing has no header. */
export function deadLetterHeaders(info: Partial<DeadLetterInfo>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [field, header] of Object.entries(HEADERS)) {
    const value = info[field as keyof DeadLetterInfo] ?? null;
    if (value !== null) headers[header] = value instanceof Date ? value.toISOString() : String(value);
  }
  return headers;
}

/** What a dead letter says about its error. */
export function failureInfo({ name, message, code, details }: HeadraceError): Partial<DeadLetterInfo> {
  return { exceptionClass: name, exceptionMessage: message, code, sqlstate: details["sqlstate"] ?? null };
}

/** Reads headers that `deadLetterHeaders` or Kafka Connect wrote; a missing or malformed one gives null. */
export function parseDeadLetter(headers: Readonly<Record<string, HeaderValue>>): DeadLetterInfo {
  const text = (field: keyof DeadLetterInfo): string | null => headerText(headers[HEADERS[field]]);
  return {
    topic: text("topic"),
    partition: toCount(text("partition")),
    offset: toBigInt(text("offset")),
    connectorName: text("connectorName"),
    taskId: text("taskId"),
    stage: text("stage"),
    className: text("className"),
    exceptionClass: text("exceptionClass"),
    exceptionMessage: text("exceptionMessage"),
    exceptionStacktrace: text("exceptionStacktrace"),
    code: text("code"),
    sqlstate: text("sqlstate"),
    table: text("table"),
    attempts: toCount(text("attempts")),
    version: toBigInt(text("version")),
    firstOffset: toBigInt(text("firstOffset")),
    topicId: text("topicId"),
    unusableId: text("unusableId"),
    failedAt: toDate(text("failedAt")),
  };
}

/** Kafka Connect appends: the last of several values is the newest. */
function headerText(value: HeaderValue): string | null {
  if (value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
  return headerText(value.at(-1));
}

function toCount(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function toBigInt(text: string | null): bigint | null {
  return text !== null && /^\d{1,19}$/.test(text) ? BigInt(text) : null;
}

function toDate(text: string | null): Date | null {
  const date = new Date(text ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}
