import type { ServerUrls } from "./server-urls.ts";

/** Real servers for the demo, the tests, the torture and the bench. */
export interface Stack extends ServerUrls {
  readonly kind: "env" | "docker" | "local";
  /**
   * Crashes a server (of MongoDB the primary) and starts it again with its data. Only servers that this stack started
   * have an entry.
   */
  readonly restarts: Readonly<Partial<Record<keyof ServerUrls, () => Promise<void>>>>;
  /** Stops every server that this stack started and removes its data. You can call it more than once. */
  stop(): Promise<void>;
}

/** What a start needs, whether in Docker or as local processes. */
export interface StartOptions {
  /** Aborts a start in progress; the servers started so far are stopped. */
  readonly signal: AbortSignal;
  /** Gets one line of progress at a time, for people to read. */
  readonly report: (line: string) => void;
  /** Three MongoDB members, which elect a new primary, instead of one. */
  readonly hasElections: boolean;
}

/** Crashes a server and starts it again with its data, at the same address. */
export type Restart = (whileStopped?: () => Promise<void>) => Promise<void>;

/** A server that answers its clients. */
export interface StartedServer {
  readonly url: string;
  readonly restart: Restart;
}
