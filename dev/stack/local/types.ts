import type { StartOptions, StartedServer } from "../types.ts";
import type { Supervisor } from "./supervisor.ts";

/** What a local server needs to start. */
export interface LocalContext extends Pick<StartOptions, "signal" | "report"> {
  readonly supervisor: Supervisor;
  /** The folder of finished downloads. */
  readonly cache: string;
}

/** Downloads the server if it is not in the cache, starts it, and waits until a client can use it. */
export type StartServer = (context: LocalContext) => Promise<StartedServer>;
