import { deadLetterHeaders, failureInfo, isDeadLetterHeader } from "../../schemas/dead-letter.ts";
import type { Failure, LogRecord } from "../ports.ts";

export interface DeadLetterSource {
  /** The pipeline's name. */
  readonly pipeline: string;
  /** Identifies this process for people who look for its log. */
  readonly taskId: string;
}

/** The record's own headers and those of this failure, without those of an earlier failure. */
export function headersOfDeadLetter(
  { topic, partition, offset, headers: given }: LogRecord,
  { error, stage, table, attempts }: Failure,
  { pipeline, taskId }: DeadLetterSource,
  failedAt: Date,
): Record<string, Buffer | undefined> {
  const headers: Record<string, Buffer | undefined> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!isDeadLetterHeader(name)) headers[name] = value;
  }
  const info = deadLetterHeaders({
    ...failureInfo(error),
    topic,
    partition,
    offset,
    connectorName: pipeline,
    taskId,
    stage,
    className: stage === "TASK_PUT" ? "Sink" : "RecordDecoder",
    table: table === null ? null : `${table.schema}.${table.table}`,
    attempts,
    failedAt,
  });
  for (const [name, text] of Object.entries(info)) headers[name] = Buffer.from(text);
  return headers;
}
