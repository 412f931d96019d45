const ESCAPE = /_u([0-9a-f]{4})/g;
const ESCAPE_AT = /_u[0-9a-f]{4}/y;

/**
 * Turns any name into a name that Avro allows. Each UTF-16 unit that Avro forbids becomes `_uXXXX`, as Debezium's
 * `avro_unicode` does it. `_` is escaped, too, where it would look like an escape. So different names stay different.
 */
export function escapeAvroName(name: string): string {
  return escapeUnits(name, (unit, index) => /[A-Za-z_]/.test(unit) || (index > 0 && /[0-9]/.test(unit)));
}

/** The inverse of `escapeAvroName`. */
export function unescapeAvroName(escaped: string): string {
  return unescapeUnits(escaped);
}

/** Replaces each UTF-16 unit that is not allowed, or that would look like an escape, by `_uXXXX`. */
export function escapeUnits(text: string, isAllowed: (unit: string, index: number) => boolean): string {
  let escaped = "";
  for (let index = 0; index < text.length; index++) {
    const unit = text.charAt(index);
    escaped += isAllowed(unit, index) && !readsAsEscape(text, index) ? unit : escapeUnit(text.charCodeAt(index));
  }
  return escaped;
}

/** The inverse of `escapeUnits` for every `isAllowed`. */
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
