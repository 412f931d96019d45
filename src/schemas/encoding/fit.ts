/**
 * Writes one BSON value of a column in the column's Avro type. Made once per column and output.
 * @param type the BSON type of the value, which is in `bytes` from `start` to `end`
 * @returns true if PostgreSQL will give the same value back. Otherwise false: the caller drops the bytes written so far
 */
export type Fit = (bytes: Buffer, type: number, start: number, end: number) => boolean;

/** Union branches of every nullable field and array item: `["null", T]`. */
export const NULL_BRANCH = 0;
export const VALUE_BRANCH = 2;
