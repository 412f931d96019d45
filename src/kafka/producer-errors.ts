import { HeadraceError } from "../errors/error.ts";
import { kafkaError } from "./errors.ts";

/**
 * What the broker answers to a producer whose transaction or epoch is not the current one any more: a second
 * producer of the name, but also a transaction that took too long or a coordinator that moved. Which one it was,
 * the next session sees in the positions topic.
 */
const SESSION_LOST: ReadonlySet<unknown> = new Set([
  "INVALID_PRODUCER_EPOCH",
  "PRODUCER_FENCED",
  "INVALID_TXN_STATE",
  "INVALID_PRODUCER_ID_MAPPING",
  "UNKNOWN_PRODUCER_ID",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "TRANSACTION_COORDINATOR_FENCED",
  "CONCURRENT_TRANSACTIONS",
  // UNKNOWN_SERVER_ERROR, -1. Seen as the coordinator's answer to EndTxn while another producer took over.
  "UNKNOWN",
]);

/** As `kafkaError`, for the transactional producer. */
export function producerError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const type = protocolType(error);
  if (!SESSION_LOST.has(type)) return kafkaError(error, doing);
  return new HeadraceError(
    "KAFKA_SESSION_LOST",
    {
      message: `Kafka no longer takes this producer's transaction at ${doing}: ${String(type)}`,
    },
    error,
  );
}

/** Whether Kafka refused a batch of records for its size. */
export function isTooLarge(error: unknown): boolean {
  const type = protocolType(error);
  return type === "MESSAGE_TOO_LARGE" || type === "RECORD_LIST_TOO_LARGE";
}

/** The protocol's name of the innermost error; kafkajs wraps what it gave up on. */
function protocolType(error: unknown): unknown {
  const { type, cause } = (error ?? {}) as { type?: unknown; cause?: unknown };
  return typeof type === "string" ? type : cause === undefined || cause === error ? undefined : protocolType(cause);
}
