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
  { error, stage, table, topicId, attempts }: Failure,
  { pipeline, taskId }: DeadLetterSource,
  failedAt: Date,
): Record<string, Buffer | undefined> {
  const own = Object.entries(given).filter(([name]) => !isDeadLetterHeader(name));
  const info = deadLetterHeaders({
    ...failureInfo(error),
    topic,
    partition,
    offset,
    topicId: topicId ?? null,
    connectorName: pipeline,
    taskId,
    stage,
    className: stage === "TASK_PUT" ? "Sink" : "RecordDecoder",
    table: table === null ? null : `${table.schema}.${table.table}`,
    attempts,
    failedAt,
  });
  // Not by assignment: a header may be called `__proto__`.
  return Object.fromEntries([
    ...own,
    ...Object.entries(info).map(([name, text]) => [name, Buffer.from(text)] as const),
  ]);
}
