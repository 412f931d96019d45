import type { Config } from "../config/config-schema.ts";
import { replicationOf } from "../config/replication.ts";
import type { Position } from "../schemas/change-event.ts";
import { mappingFingerprint } from "../schemas/mapping/fingerprint.ts";

/** What to do about `oldMappings`. */
export const RESTART_PRODUCER = "Restart the producer (headrace produce) with this config.";

/**
 * The collections of the config whose records the producer has made with another mapping. What a position of version 0.1.0
 * does not say counts as the same.
 */
export function oldMappings(config: Config, position: Position | null): readonly string[] {
  return [...(position?.snapshots.keys() ?? [])].filter((collection) => {
    const made = position?.identities?.get(collection)?.mapping;
    const now = replicationOf(config, collection);
    return made !== undefined && now !== undefined && made !== mappingFingerprint(now.mapping);
  });
}
