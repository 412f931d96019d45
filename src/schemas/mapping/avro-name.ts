const ESCAPE = /_u([0-9a-f]{4})/g;
const ESCAPE_AT = /_u[0-9a-f]{4}/y;

/**
 * A name for Avro: each UTF-16 unit that Avro forbids becomes `_uXXXX` (as Debezium's `avro_unicode`), and `_`
 * itself where it would read as such an escape. Two names never become one.
 */
export function escapeAvroName(name: string): string {
  return escapeUnits(name, (unit, index) => /[A-Za-z_]/.test(unit) || (index > 0 && /[0-9]/.test(unit)));
}

/** The inverse of `escapeAvroName`. */
export function unescapeAvroName(escaped: string): string {
  return unescapeUnits(escaped);
}

/** Replaces what is not allowed, and what would read as a replacement, by `_uXXXX`; each UTF-16 unit on its own. */
export function escapeUnits(text: string, isAllowed: (unit: string, index: number) => boolean): string {
  let escaped = "";
  for (let index = 0; index < text.length; index++) {
    const unit = text.charAt(index);
    escaped += isAllowed(unit, index) && !readsAsEscape(text, index) ? unit : escapeUnit(text.charCodeAt(index));
  }
  return escaped;
}

/** The inverse of `escapeUnits`, whatever was allowed. */
export function unescapeUnits(escaped: string): string {
  return escaped.replace(ESCAPE, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function readsAsEscape(text: string, index: number): boolean {
  ESCAPE_AT.lastIndex = index;
  return ESCAPE_AT.test(text);
}

function escapeUnit(code: number): string {
  return `_u${code.toString(16).padStart(4, "0")}`;
}
