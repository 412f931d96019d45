import type { Stack } from "../dev/stack/types.ts";
import { processesOfServer } from "./cpu-time.ts";

/** The ids of the processes of those servers that run as processes on this machine. */
export async function serverProcesses(stack: Stack): Promise<Record<string, readonly number[]>> {
  const ports = {
    mongodb: /^mongodb:\/\/(?:[^@/]*@)?[^:/]+:(\d+)/.exec(stack.mongodbUri)?.[1],
    kafka: /:(\d+)/.exec(stack.kafkaBrokers)?.[1],
    postgres: new URL(stack.postgresUrl).port,
  };
  const found = Object.entries(ports).map(
    async ([name, port]) => [name, await processesOfServer(Number(port))] as const,
  );
  return Object.fromEntries((await Promise.all(found)).filter(([, processes]) => processes.length > 0));
}
