import type { Fault, Part, TortureContext } from "../fault.ts";

/** Without the registry, because the one of the stack keeps its schemas in memory only. */
const servers = {
  mongodbUri: { kind: "crash MongoDB", others: [] },
  kafkaBrokers: { kind: "crash Kafka", others: ["deadLetters"] },
  postgresUrl: { kind: "crash PostgreSQL", others: ["deadLetters"] },
} as const satisfies Partial<Record<Part, { kind: string; others: readonly Part[] }>>;

/** Crashes servers that the stack started. Pauses the writes for MongoDB, so that the outcome of each one is known. */
export function restartFaults(restarts: TortureContext["restarts"]): Fault[] {
  return (Object.keys(servers) as (keyof typeof servers)[]).flatMap((server) => {
    const restart = restarts[server];
    const { kind, others } = servers[server];
    if (restart === undefined) return [];
    const inject: Fault["inject"] =
      server === "mongodbUri" ? ({ writing }) => writing.paused(restart) : () => restart();
    return [{ kind, touches: [server, ...others], inject }];
  });
}
