/** The header with the key of a document whose key cannot be encoded, hence is not the record's key. */
export const KEY_HEADER = "headrace.key";

/** What a dead letter's headers say. Null where a header is missing, as in those of other programs. */
export interface DeadLetterInfo {
  /** Where the record came from. */
  readonly topic: string | null;
  readonly partition: number | null;
  readonly offset: bigint | null;
  /** The pipeline's name. */
  readonly connectorName: string | null;
  /** The instance that gave the record up. */
  readonly taskId: string | null;
  /** KEY_CONVERTER, VALUE_CONVERTER or TASK_PUT where Headrace wrote it. */
  readonly stage: string | null;
  /** What was running: the name of the part of Headrace. */
  readonly className: string | null;
  readonly exceptionClass: string | null;
  /** Never holds a document's value. */
  readonly exceptionMessage: string | null;
  readonly exceptionStacktrace: string | null;
  readonly code: string | null;
  readonly sqlstate: string | null;
  /** `schema.table`. */
  readonly table: string | null;
  /** How often applying it was tried. */
  readonly attempts: number | null;
  readonly version: bigint | null;
  /** Of the producer's that came again: where the first one of the document stands in the DLQ. */
  readonly firstOffset: bigint | null;
  readonly failedAt: Date | null;
}

/** Kafka gives header values as bytes; kafkajs also as strings or, for a name given twice, a list. */
export type HeaderValue = Uint8Array | string | readonly (Uint8Array | string)[] | undefined;

/** Kafka Connect's names where it has one. */
const HEADERS = {
  topic: "__connect.errors.topic",
  partition: "__connect.errors.partition",
  offset: "__connect.errors.offset",
  connectorName: "__connect.errors.connector.name",
  taskId: "__connect.errors.task.id",
  stage: "__connect.errors.stage",
  className: "__connect.errors.class.name",
  exceptionClass: "__connect.errors.exception.class.name",
  exceptionMessage: "__connect.errors.exception.message",
  exceptionStacktrace: "__connect.errors.exception.stacktrace",
  code: "headrace.code",
  sqlstate: "headrace.sqlstate",
  table: "headrace.table",
  attempts: "headrace.attempts",
  version: "headrace.version",
  firstOffset: "headrace.first_offset",
  failedAt: "headrace.failed_at",
} as const satisfies Record<keyof DeadLetterInfo, string>;

/** The headers of a dead letter; one that is null is left out. */
export function deadLetterHeaders(info: DeadLetterInfo): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [field, header] of Object.entries(HEADERS)) {
    const value = info[field as keyof DeadLetterInfo];
    if (value !== null) headers[header] = value instanceof Date ? value.toISOString() : String(value);
  }
  return headers;
}

/** Reads what `deadLetterHeaders` or Kafka Connect wrote; what is missing or makes no sense is null. */
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
    failedAt: toDate(text("failedAt")),
  };
}

/** Connect appends, so that the last of several values is the newest. */
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
