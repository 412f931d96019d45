import type { Config } from "../../config/config-schema.ts";
import type { Logger } from "../../runtime/logger.ts";
import { oldMappings, RESTART_PRODUCER } from "../old-mappings.ts";
import { openPipelineReader } from "../pipeline-reader.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/** Checks that the producer has run with the mappings of the config. Not asked at a start, which may be the producer's. */
export function checkMappings(config: Config, logger: Logger): Promise<CheckResult> {
  return runCheck("kafka", "has no records of another mapping than the config's", async () => {
    const reader = await openPipelineReader(config, logger);
    try {
      const old = oldMappings(config, await reader.position()).map((name) => JSON.stringify(name));
      if (old.length === 0) return undefined;
      const message = `The producer has made the records of ${old.join(", ")} with another mapping than this config's.`;
      return { message, remedy: RESTART_PRODUCER };
    } finally {
      await reader.close();
    }
  });
}
