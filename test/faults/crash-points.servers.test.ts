// SIGKILL at critical moments: before or after a step that the process may or may not know to be done. A proxy detects
// the moment.
import { expect, test } from "vitest";
import type { HeadraceProcess } from "../../dev/headrace-process.ts";
import { apiKeys } from "../support/kafka-proxy.ts";
import { IMPLICIT_TRANSACTION } from "../support/postgres-proxy.ts";
import type { ProtocolProxy } from "../support/protocol-proxy.ts";
import { faultyPipeline } from "./faulty-pipeline.ts";
import type { FaultyPipeline, Proxies } from "./faulty-pipeline.ts";

/** A moment, and the number of its occurrence at which the process is killed. */
interface CrashPoint {
  /** Calls `isReached` whenever the moment comes. If it returns true, drops the message. */
  readonly watch: (proxies: Proxies, isReached: () => boolean) => void;
  readonly occurrence: number;
}

type CrashPoints = Readonly<Record<string, CrashPoint>>;

function catchAll<Kind>(judge: ProtocolProxy<Kind>["setVerdict"], isMeant: (kind: Kind) => boolean) {
  return (isReached: () => boolean): void =>
    judge((kind) => {
      if (!isMeant(kind)) return "pass";
      return isReached() ? "drop" : "pass";
    });
}

const kafkaRequest = (apiKey: number, occurrence: number): CrashPoint => ({
  watch: ({ kafka }, isReached) => catchAll(kafka.setRequestVerdict, (kind) => kind === apiKey)(isReached),
  occurrence,
});
const kafkaResponse = (apiKey: number, occurrence: number): CrashPoint => ({
  watch: ({ kafka }, isReached) => catchAll(kafka.setVerdict, (kind) => kind === apiKey)(isReached),
  occurrence,
});
const mongodbResponse = (command: string, occurrence: number): CrashPoint => ({
  watch: ({ mongodb }, isReached) => catchAll(mongodb.setVerdict, (kind) => kind === command)(isReached),
  occurrence,
});

const postgresRequest = (text: string): CrashPoint => ({
  watch: ({ postgres }, isReached) => catchAll(postgres.setRequestVerdict, (kind) => kind === text)(isReached),
  occurrence: 3,
});
const postgresResponse = (tag: string): CrashPoint => ({
  watch: ({ postgres }, isReached) => catchAll(postgres.setVerdict, (kind) => kind === tag)(isReached),
  occurrence: 3,
});

// The first transaction has the session's marker, later ones have events.
const producerPoints: CrashPoints = {
  "a schema has been registered": {
    watch: ({ registry }, isReached) => catchAll(registry.setVerdict, (kind) => kind.startsWith("POST"))(isReached),
    occurrence: 1,
  },
  "producers before it have been fenced": kafkaResponse(apiKeys.initProducerId, 1),
  "its marker has been committed": kafkaResponse(apiKeys.endTxn, 1),
  "a collection has been read": mongodbResponse("find", 3),
  "the stream has been opened": mongodbResponse("aggregate", 2),
  "the stream has been read": mongodbResponse("getMore", 3),
  "a transaction has begun": kafkaResponse(apiKeys.addPartitionsToTxn, 3),
  "records are about to be written": kafkaRequest(apiKeys.produce, 3),
  "records have been written": kafkaResponse(apiKeys.produce, 3),
  "a transaction is about to be committed": kafkaRequest(apiKeys.endTxn, 3),
  "a transaction has been committed": kafkaResponse(apiKeys.endTxn, 3),
};

const consumerPoints: CrashPoints = {
  "it has joined the group": kafkaResponse(apiKeys.joinGroup, 1),
  "rows are about to be committed": postgresRequest("COMMIT"),
  "rows have been committed": postgresResponse("COMMIT"),
  "rows are about to be committed, in one round trip": postgresRequest(IMPLICIT_TRANSACTION),
  "rows have been committed, in one round trip": postgresResponse(IMPLICIT_TRANSACTION),
  "the group's offset has been committed": kafkaResponse(apiKeys.offsetCommit, 2),
  "a dead letter is about to be written": kafkaRequest(apiKeys.produce, 2),
  "a dead letter has been written": kafkaResponse(apiKeys.produce, 2),
};

/** Runs a process through the proxies and kills it at the moment. */
async function crashAt({ through, proxies }: FaultyPipeline, command: string, point: CrashPoint): Promise<void> {
  const reached = Promise.withResolvers<void>();
  let left = point.occurrence;
  let process: HeadraceProcess | undefined;
  point.watch(proxies, () => {
    if (--left > 0) return false;
    void process?.kill();
    reached.resolve();
    return true;
  });
  process = through.start(command);
  await Promise.race([reached.promise, process.unexpectedEnd()]);
  await process.end();
  for (const proxy of Object.values(proxies)) {
    proxy.setVerdict(() => "pass");
    proxy.setRequestVerdict(() => "pass");
  }
}

async function crashAtAll(faulty: FaultyPipeline, command: string, points: CrashPoints): Promise<void> {
  for (const [name, point] of Object.entries(points)) {
    process.stderr.write(`kill ${command}: ${name}\n`);
    await crashAt(faulty, command, point);
  }
}

test("a producer that is killed at a critical moment loses and repeats nothing", async () => {
  const faulty = await faultyPipeline();
  const { pipeline, whileWriting, expectEqual } = faulty;
  pipeline.start("consume");
  await whileWriting(() => crashAtAll(faulty, "produce", producerPoints));
  pipeline.start("produce");
  await expectEqual();
});

test("a consumer that is killed at a critical moment loses and repeats nothing", async () => {
  const faulty = await faultyPipeline();
  const { pipeline, pool, whileWriting, expectEqual } = faulty;
  // Causes dead letters.
  await pool.query("ALTER TABLE typed ADD CONSTRAINT poison CHECK (n % 5 <> 0)");
  pipeline.start("produce");
  await whileWriting(() => crashAtAll(faulty, "consume", consumerPoints));
  await pool.query("ALTER TABLE typed DROP CONSTRAINT poison");
  pipeline.start("consume");
  await pipeline.run("verify", "--wait", "120");
  expect(await pipeline.run("dlq", "replay")).toMatchObject({ exitCode: 0 });
  await expectEqual();
});
