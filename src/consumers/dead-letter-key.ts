import { KEY_HEADER } from "../schemas/dead-letter.ts";
import type { SchemaRegistry } from "../schemas/registry.ts";
import { HEADER_BYTES } from "../schemas/topics.ts";
import type { LogRecord } from "./ports.ts";

/**
 * The key that a dead letter is about, as the `_id` column holds it; null where it cannot be read.
 * @throws ContractError from the registry
 */
export async function keyOfDeadLetter(registry: SchemaRegistry, { key, headers }: LogRecord): Promise<string | null> {
  const told = headers[KEY_HEADER];
  if (told !== undefined) return told.toString("utf8");
  if (key === null || key.length <= HEADER_BYTES || key[0] !== 0) return null;
  const id = key.readInt32BE(1);
  const { type } = registry.cached(id) ?? (await registry.schema(id));
  try {
    const { _id } = type.fromBuffer(key.subarray(HEADER_BYTES)) as { _id: unknown };
    return typeof _id === "string" || typeof _id === "bigint" ? String(_id) : null;
  } catch {
    return null;
  }
}
