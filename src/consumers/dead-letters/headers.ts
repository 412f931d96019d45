import { deadLetterHeaders } from "../../schemas/dead-letter.ts";
import type { DeadLetterInfo } from "../../schemas/dead-letter.ts";
import type { Failure, LogRecord } from "../ports.ts";

export interface DeadLetterSource {
  /** The pipeline's name. */
  readonly pipeline: string;
  /** Names this instance, as for people who look for its log. */
  readonly taskId: string;
}

/** Kafka Connect's and our own names of what a dead letter says. */
const DEAD_LETTER_HEADER = /^(__connect\.errors|headrace)\./;

/** The record's own headers, and what is to be said of this failure; nothing of an earlier one. */
export function headersOfDeadLetter(
  record: LogRecord,
  failure: Failure,
  source: DeadLetterSource,
  failedAt: Date,
): Record<string, Buffer> {
  const headers: Record<string, Buffer> = {};
  for (const [name, value] of Object.entries(record.headers)) {
    if (value !== undefined && !DEAD_LETTER_HEADER.test(name)) headers[name] = value;
  }
  for (const [name, text] of Object.entries(deadLetterHeaders(describeFailure(record, failure, source, failedAt)))) {
    headers[name] = Buffer.from(text);
  }
  return headers;
}

/** Only our own errors become dead letters, and those quote no values. */
function describeFailure(
  { topic, partition, offset }: LogRecord,
  { error, stage, table, attempts }: Failure,
  { pipeline, taskId }: DeadLetterSource,
  failedAt: Date,
): DeadLetterInfo {
  const { name, message, code, details } = error;
  return {
    topic,
    partition,
    offset,
    connectorName: pipeline,
    taskId,
    stage,
    className: stage === "TASK_PUT" ? "Sink" : "RecordDecoder",
    exceptionClass: name,
    exceptionMessage: message,
    exceptionStacktrace: null,
    code,
    sqlstate: details["sqlstate"] ?? null,
    table: table === null ? null : `${table.schema}.${table.table}`,
    attempts,
    version: null,
    firstOffset: null,
    failedAt,
  };
}
