import { HeadraceError } from "../../errors/error.ts";
import { KEY_HEADER } from "../../schemas/dead-letter.ts";
import { idTypeOfKey } from "../../schemas/mapping/envelope.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { signalIdOfKey } from "../../schemas/signal.ts";
import { HEADER_BYTES } from "../../schemas/topics.ts";
import type { LogRecord } from "../ports.ts";

/**
 * The key of a dead letter's document, as the `_id` column holds it; null where it cannot be decoded.
 * @throws HeadraceError of the registry
 */
export async function keyOfDeadLetter(registry: SchemaRegistry, { key, headers }: LogRecord): Promise<string | null> {
  const keyText = headers[KEY_HEADER];
  if (keyText !== undefined) return keyText.toString("utf8");
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

/**
 * The `_id` with which a signal can request a dead letter's document again, see `SignalId`; null where it cannot.
 * @throws HeadraceError of the registry
 */
export async function signalIdOfDeadLetter(registry: SchemaRegistry, record: LogRecord): Promise<string | null> {
  const key = await keyOfDeadLetter(registry, record);
  if (key === null) return null;
  try {
    return signalIdOfKey(record.headers[KEY_HEADER] === undefined ? await idTypeOf(registry, record) : "mixed", key);
  } catch (error) {
    if (error instanceof HeadraceError && (error.code === "KEY_INVALID" || error.code === "SIGNAL_INVALID"))
      return null;
    throw error;
  }
}

async function idTypeOf(registry: SchemaRegistry, { key }: LogRecord): Promise<IdType> {
  const id = key?.readInt32BE(1) ?? 0;
  const { definition } = registry.cached(id) ?? (await registry.schema(id));
  return idTypeOfKey(definition) ?? "mixed";
}
