import type { ServerUrls } from "./server-urls.ts";
import type { Stack, StartedServer } from "./types.ts";

type Server = keyof ServerUrls;

/** A stack of started servers and of servers whose addresses were given. */
export function stackOf(
  kind: Stack["kind"],
  given: Partial<ServerUrls>,
  started: readonly (readonly [Server, StartedServer])[],
  stop: () => Promise<void>,
): Stack {
  const urls = { ...given, ...Object.fromEntries(started.map(([key, { url }]) => [key, url])) } as ServerUrls;
  const restarts = Object.fromEntries(started.map(([key, { restart }]) => [key, restart]));
  return { kind, ...urls, restarts, stop };
}

/** Starts servers at the same time. Waits until all have settled, and then rejects with the first error, if any. */
export async function startTogether<C extends { readonly signal: AbortSignal }>(
  context: C,
  starts: readonly (readonly [Server, (context: C) => Promise<StartedServer>])[],
): Promise<(readonly [Server, StartedServer])[]> {
  const failed = new AbortController();
  const shared = { ...context, signal: AbortSignal.any([context.signal, failed.signal]) };
  const running = starts.map(async ([key, start]) => {
    try {
      return [key, await start(shared)] as const;
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(running);
  if (failed.signal.aborted) throw failed.signal.reason;
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
