import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Sees, and may change, the bytes of one connection. What it returns is passed on instead. */
export interface ConnectionFilter {
  readonly request: (chunk: Buffer) => Buffer;
  readonly response: (chunk: Buffer) => Buffer;
}

interface ProxyOptions {
  readonly targetHost: string;
  readonly targetPort: number;
  /** Called for every connection; `cut` resets it on both sides. */
  readonly filter?: (cut: () => void) => ConnectionFilter;
}

/** A proxy in front of a server, for making the network fail. */
export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Resets all connections, and every new one until `restore`. */
  cut(): void;
  restore(): void;
  /** Lets every read of either side wait before it is passed on; so it limits throughput too. */
  setLatencyMs(latencyMs: number): void;
  /** Half-open: the server gets everything, its answers stay here until `resume`. */
  pauseResponses(): void;
  /** The server gets nothing until `resume`; connections stay open. */
  pauseRequests(): void;
  resume(): void;
  /** Resets all connections and ends the proxy. Rejects with the first error that a filter has thrown. */
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
    // Whatever breaks on one side breaks on the other.
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
