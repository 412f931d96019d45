import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Gets the bytes of one connection, and returns the bytes to pass on. */
export interface ConnectionFilter {
  readonly request: (chunk: Buffer) => Buffer;
  readonly response: (chunk: Buffer) => Buffer;
}

interface ProxyOptions {
  readonly targetHost: string;
  readonly targetPort: number;
  /** Called for every connection. `cut` resets the connection on both sides. */
  readonly filter?: (cut: () => void) => ConnectionFilter;
}

/** A proxy in front of a server that simulates network failures. */
export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Resets all connections, and every new one until `restore`. */
  cut(): void;
  restore(): void;
  /** Delays every chunk of both directions. So it limits the throughput too. */
  setLatencyMs(latencyMs: number): void;
  /** Half-open: the server gets all requests, but its responses wait until `resume`. */
  pauseResponses(): void;
  /** The server gets nothing until `resume`; connections stay open. */
  pauseRequests(): void;
  resume(): void;
  /** Resets all connections and ends the proxy. @throws the first error of a filter */
  close(): Promise<void>;
}

type Direction = "request" | "response";
type Gate = { readonly opened: Promise<void>; readonly open: () => void };

export async function startProxy({ targetHost, targetPort, filter }: ProxyOptions): Promise<TcpProxy> {
  const connections = new Set<() => void>();
  const failures: unknown[] = [];
  const gates: Partial<Record<Direction, Gate>> = {};
  let latencyMs = 0;
  let isCut = false;

  const transform = (direction: Direction, apply: (chunk: Buffer) => Buffer) =>
    async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        if (latencyMs > 0) await sleep(latencyMs);
        await gates[direction]?.opened;
        try {
          yield apply(chunk);
        } catch (error) {
          failures.push(error);
          throw error;
        }
      }
    };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (isCut) {
      client.on("error", () => {}).resetAndDestroy();
      return;
    }
    const target = connect({ host: targetHost, port: targetPort, allowHalfOpen: true, noDelay: true });
    const cut = (): void => {
      for (const socket of [client, target]) reset(socket);
    };
    connections.add(cut);
    const { request, response } = filter?.(cut) ?? { request: same, response: same };
    const directions = [
      pipeline(client, transform("request", request), target),
      pipeline(target, transform("response", response), client),
    ];
    // If one side breaks, so does the other.
    for (const direction of directions) direction.catch(cut);
    void Promise.allSettled(directions).then(() => connections.delete(cut));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const pause = (direction: Direction): void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gates[direction] ??= { opened: promise, open: resolve };
  };
  const resume = (): void => {
    for (const direction of ["request", "response"] as const) {
      gates[direction]?.open();
      delete gates[direction];
    }
  };
  const cutAll = (): void => {
    isCut = true;
    for (const cut of connections) cut();
  };
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    cut: cutAll,
    restore: () => {
      isCut = false;
    },
    setLatencyMs: (value) => {
      latencyMs = value;
    },
    pauseRequests: () => pause("request"),
    pauseResponses: () => pause("response"),
    resume,
    close: async () => {
      cutAll();
      resume();
      await once(server.close(), "close");
      if (failures.length > 0) throw failures[0];
    },
  };
}

function same(chunk: Buffer): Buffer {
  return chunk;
}

function reset(socket: Socket): void {
  socket.on("error", () => {});
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
