// The head of a record batch: https://kafka.apache.org/documentation/#recordbatch

export const BATCH_HEAD_BYTES = 61;
/** The batch's length counts the bytes from here on. */
export const BATCH_LENGTH_FROM = 12;
/** The version of the format, which every broker since Kafka 0.11 has. */
export const BATCH_MAGIC = 2;

// Bits of the batch's attributes.
export const CODEC_MASK = 0x07;
export const HAS_ARRIVAL_TIME = 0x08;
export const IS_TRANSACTIONAL = 0x10;
export const IS_CONTROL = 0x20;
