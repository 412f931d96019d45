import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { ProcessFailed } from "./server-start.ts";

/** Distinct ports of 127.0.0.1 that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Starts a server on free ports. If another process takes one of them first, tries others; three times in all. */
export async function onFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  const tried = new Set<number>();
  for (let attempt = 1; ; attempt++) {
    // The system may give a port again that is free for the moment.
    const others = (await freePorts(count + tried.size)).filter((port) => !tried.has(port)).slice(0, count);
    for (const port of others) tried.add(port);
    try {
      return await start(others);
    } catch (error) {
      const taken =
        error instanceof ProcessFailed &&
        /(?:address|port) (?:is )?already (?:in use|allocated)|port \d+ seems to be in use/i.test(error.log);
      if (!taken || attempt === 3) throw error;
    }
  }
}
