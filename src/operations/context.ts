import type { Config } from "../config/config-schema.ts";
import type { Logger } from "../runtime/logger.ts";

/** What an operation on a pipeline needs to know. */
export interface Context {
  readonly config: Config;
  readonly logger: Logger;
  /** Aborts when the operation must end, for example at a SIGTERM. */
  readonly signal: AbortSignal;
}
