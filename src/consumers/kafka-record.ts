import type { IHeaders, KafkaMessage } from "kafkajs";
import type { LogRecord } from "./ports.ts";

export function toLogRecord(topic: string, partition: number, message: KafkaMessage): LogRecord {
  return {
    topic,
    partition,
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    headers: toHeaders(message.headers),
    timestampMs: Number(message.timestamp),
  };
}

const NO_HEADERS: LogRecord["headers"] = {};

/** Of a name that was given several times the last, which is the newest. */
function toHeaders(headers: IHeaders | undefined): LogRecord["headers"] {
  if (headers === undefined) return NO_HEADERS;
  const entries = Object.entries(headers).map(([name, value]) => {
    const last = Array.isArray(value) ? value.at(-1) : value;
    return [name, typeof last === "string" ? Buffer.from(last) : last] as const;
  });
  return entries.length === 0 ? NO_HEADERS : Object.fromEntries(entries);
}
