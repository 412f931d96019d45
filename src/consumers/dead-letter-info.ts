import type { DeadLetterInfo } from "../schemas/dead-letter.ts";
import type { Failure, LogRecord } from "./ports.ts";

export interface DeadLetterSource {
  /** The pipeline's name. */
  readonly pipeline: string;
  /** Names this instance, as for people who look for its log. */
  readonly taskId: string;
}

/** What the headers of a dead letter say. Only our own errors become dead letters, and those quote no values. */
export function describeDeadLetter(
  { topic, partition, offset }: LogRecord,
  { error, stage, table, attempts }: Failure,
  { pipeline, taskId }: DeadLetterSource,
  failedAt: Date,
): DeadLetterInfo {
  const { name, message, code, details } = error as Error & {
    code?: string;
    details?: Readonly<Record<string, string>>;
  };
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
    code: code ?? null,
    sqlstate: details?.sqlstate ?? null,
    table: table === null ? null : `${table.schema}.${table.table}`,
    attempts,
    version: null,
    failedAt,
  };
}
