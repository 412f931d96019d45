import type { Config } from "../config/config-schema.ts";
import type { Logger } from "../runtime/logger.ts";

/** What every operation on a pipeline needs. */
export interface Context {
  readonly config: Config;
  readonly logger: Logger;
  /** Aborts when the operation must end, for example on SIGTERM. */
  readonly signal: AbortSignal;
}
