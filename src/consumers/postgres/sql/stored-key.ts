/**
 * An entry of an index takes 2,704 bytes, of all its columns together. A key that long fits beside any relation's name.
 */
const MAX_KEY_BYTES = 1_000;

/** Begins a digest. */
const DIGEST_PREFIX = "sha256:";

/** A table that lacks this constraint is of version 0.1.0, which stored every key as it is. */
export const STORED_KEY_CONSTRAINT = "stored_key";

const CONSTRAINT = `CONSTRAINT ${STORED_KEY_CONSTRAINT} CHECK (octet_length(key) <= ${MAX_KEY_BYTES})`;

/** The definition of the column `key` of Headrace's own tables. */
export const STORED_KEY_COLUMN = `text COLLATE "C" ${CONSTRAINT}`;

/**
 * SQL of what Headrace's own tables hold for a document's key: the key or, where it is long, its digest. A key that looks
 * like a digest is replaced by its own, so that no two keys are stored as the same.
 * @param key SQL of the key as text
 */
export function storedKey(key: string): string {
  const digest = `'${DIGEST_PREFIX}' || encode(sha256(convert_to(${key}, 'UTF8')), 'hex')`;
  return `(CASE WHEN ${isStoredAsItIs(key)} THEN ${key} ELSE ${digest} END COLLATE "C")`;
}

/** Makes a table of version 0.1.0 hold stored keys. Locked, because another consumer may be writing to it. */
export function storedKeyMigration(table: string): readonly string[] {
  return [
    `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
    `UPDATE ${table} SET key = ${storedKey("key")} WHERE NOT (${isStoredAsItIs("key")})`,
    `ALTER TABLE ${table} ADD ${CONSTRAINT}`,
  ];
}

function isStoredAsItIs(key: string): string {
  return `octet_length(${key}) <= ${MAX_KEY_BYTES} AND NOT starts_with(${key}, '${DIGEST_PREFIX}')`;
}
