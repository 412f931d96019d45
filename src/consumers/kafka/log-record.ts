import type { FetchedMessage, Headers } from "../../kafka/wire/record-batch.ts";
import type { LogRecord } from "../ports.ts";

export function toLogRecord(topic: string, partition: number, message: FetchedMessage): LogRecord {
  return {
    topic,
    partition,
    offset: message.position,
    key: message.key,
    value: message.value,
    headers: toHeaders(message.headers),
    timestampMs: message.timestampMs,
  };
}

const NO_HEADERS: LogRecord["headers"] = {};

/** Of a name that was given several times the last, which is the newest. */
function toHeaders(headers: Headers): LogRecord["headers"] {
  const entries = Object.entries(headers).map(
    ([name, value]) => [name, Array.isArray(value) ? value.at(-1) : value] as const,
  );
  return entries.length === 0 ? NO_HEADERS : Object.fromEntries(entries);
}
