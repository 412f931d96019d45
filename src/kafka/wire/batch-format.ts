// The head of a record batch: https://kafka.apache.org/documentation/#recordbatch

export const BATCH_HEAD_BYTES = 61;
/** What the batch's length counts begins here. */
export const BATCH_LENGTH_FROM = 12;
/** The version of the format, which all brokers since 0.11 take. */
export const BATCH_MAGIC = 2;

/** Of the attributes. */
export const CODEC_MASK = 0x07;
export const HAS_ARRIVAL_TIME = 0x08;
export const IS_TRANSACTIONAL = 0x10;
export const IS_CONTROL = 0x20;
