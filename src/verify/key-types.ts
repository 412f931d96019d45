/** A type of the column `_id`. */
export interface KeyType {
  readonly sql: string;
  /** Whether the text can be cast to the type. Otherwise no row has the key. */
  canHold(key: string): boolean;
}

const INTEGER_KEYS: KeyType = {
  sql: "bigint",
  canHold: (key) => /^-?\d{1,19}$/.test(key) && BigInt.asIntN(64, BigInt(key)) === BigInt(key),
};
const TEXT_KEYS: KeyType = { sql: "text", canHold: () => true };
const UUID_KEYS: KeyType = { sql: "uuid", canHold: (key) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key) };
const KEY_TYPES: ReadonlyMap<string, KeyType> = new Map([
  ["smallint", INTEGER_KEYS],
  ["integer", INTEGER_KEYS],
  ["bigint", INTEGER_KEYS],
  ["uuid", UUID_KEYS],
]);

/** @param name as `format_type` writes it; undefined if there is no column */
export function keyTypeOf(name: string | undefined): KeyType | undefined {
  return name === undefined ? undefined : (KEY_TYPES.get(name) ?? TEXT_KEYS);
}
