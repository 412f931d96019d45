import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { newKafka } from "../../src/kafka/client.ts";
import { ConnectWorker } from "./connect-worker.ts";
import { peerTopic, sinkSettings, sourceSettings } from "./connectors.ts";
import type { Route, Tuning } from "./connectors.ts";
import { COLLECTION, PARTITIONS } from "./side.ts";
import type { PeerBench, Side } from "./side.ts";

/** The peer: both connectors in a worker that runs already. Its topic and its schema exist before it starts. */
export async function peerSide(bench: PeerBench, database: string, tuning: Tuning): Promise<Side> {
  const { stack, pool, work } = bench;
  const name = `peer_bench_${randomBytes(4).toString("hex")}`;
  const route: Route = { urls: stack, name, database, collection: COLLECTION };
  const topic = peerTopic(route);
  await using made = new AsyncDisposableStack();
  await pool.query(`CREATE SCHEMA "${name}"`);
  made.defer(async () => void (await pool.query(`DROP SCHEMA "${name}" CASCADE`)));
  await withAdmin(bench, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] }));
  made.defer(() => withAdmin(bench, (admin) => admin.deleteTopics({ topics: [topic] })));
  const { kafkaBrokers } = stack;
  const worker = made.use(await ConnectWorker.start({ ...bench, kafkaBrokers, folder: join(work, name) }));
  const all = made.move();
  let isCreated = false;
  return {
    table: `"${name}"."${COLLECTION}"`,
    async start() {
      if (isCreated) return await worker.resume();
      isCreated = true;
      await worker.create(`${name}-source`, sourceSettings(route, tuning));
      await worker.create(`${name}-sink`, sinkSettings(route, tuning));
    },
    stop: () => worker.stop(),
    pids: () => worker.pids,
    check: () => worker.check(),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

type Admin = ReturnType<ReturnType<typeof newKafka>["admin"]>;

async function withAdmin({ stack }: PeerBench, action: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = newKafka({ brokers: stack.kafkaBrokers.split(",") }).admin();
  await admin.connect();
  try {
    await action(admin);
  } finally {
    await admin.disconnect();
  }
}
