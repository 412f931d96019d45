// The server executes a request, but the connection breaks in the middle of its response.
import { expect, test } from "vitest";
import { apiKeys } from "../support/kafka-proxy.ts";
import { IMPLICIT_TRANSACTION } from "../support/postgres-proxy.ts";
import type { ProtocolProxy } from "../support/protocol-proxy.ts";
import { faultyPipeline } from "./faulty-pipeline.ts";
import type { Proxies } from "./faulty-pipeline.ts";

type Lose = (proxies: Proxies, times: number) => Promise<void>;

/** Resolves when one response of each kind is lost, in this order. */
async function loseInTurn<Kind>(proxy: Pick<ProtocolProxy<Kind>, "setVerdict">, kinds: readonly Kind[]): Promise<void> {
  const left = [...kinds];
  const lost = Promise.withResolvers<void>();
  proxy.setVerdict((kind) => {
    if (left.length === 0 || kind !== left[0]) return "pass";
    left.shift();
    if (left.length === 0) lost.resolve();
    return "break";
  });
  await lost.promise;
}

const ofKafka =
  (apiKey: number): Lose =>
  ({ kafka }, times) =>
    loseInTurn(kafka, Array<number>(times).fill(apiKey));
const ofMongodb =
  (command: string): Lose =>
  ({ mongodb }, times) =>
    loseInTurn(mongodb, Array<string>(times).fill(command));
/** After a lost transaction the sink looks again, in a transaction with BEGIN and COMMIT. */
const ofPostgres =
  (tag: string): Lose =>
  ({ postgres }, times) =>
    loseInTurn(postgres, [IMPLICIT_TRANSACTION, ...Array<string>(times).fill(tag)]);

const answers: Readonly<Record<string, Lose>> = {
  "records written to Kafka": ofKafka(apiKeys.produce),
  "partitions added to a transaction": ofKafka(apiKeys.addPartitionsToTxn),
  "a transaction of Kafka committed": ofKafka(apiKeys.endTxn),
  "records read from Kafka": ofKafka(apiKeys.fetch),
  "the group's offset committed": ofKafka(apiKeys.offsetCommit),
  "the change stream read": ofMongodb("getMore"),
  "documents read": ofMongodb("find"),
  "a transaction of PostgreSQL in one round trip": ofPostgres(IMPLICIT_TRANSACTION),
  "a transaction of PostgreSQL begun": ofPostgres("BEGIN"),
  "rows written": ofPostgres("INSERT"),
  "a transaction of PostgreSQL committed": ofPostgres("COMMIT"),
};

test("lost responses of any server lose no change, and no row steps back", async () => {
  const { proxies, through, whileWriting, expectEqual } = await faultyPipeline();
  const processes = ["produce", "consume"].map((command) => through.start(command));
  const unexpectedEnd = Promise.race(processes.map((each) => each.unexpectedEnd()));
  // Prevents an unhandled rejection: the processes are killed after the test.
  unexpectedEnd.catch(() => {});
  await whileWriting(async () => {
    for (const [name, lose] of Object.entries(answers)) {
      process.stderr.write(`lose the response: ${name}\n`);
      await Promise.race([lose(proxies, 2), unexpectedEnd]);
    }
  });
  await expectEqual();
});

test("a dead letter whose acknowledgement is lost exists once and can be replayed", async () => {
  const { pipeline, proxies, pool, through, whileWriting, expectEqual } = await faultyPipeline();
  await pool.query("ALTER TABLE typed ADD CONSTRAINT poison CHECK (n % 5 <> 0)");
  pipeline.start("produce");
  through.start("consume");
  await whileWriting(() => ofKafka(apiKeys.produce)(proxies, 4));
  await pool.query("ALTER TABLE typed DROP CONSTRAINT poison");
  await pipeline.run("verify", "--wait", "120");
  const { stdout } = await pipeline.run("dlq", "list", "--json");
  const origins = (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
  expect(origins.length).toBeGreaterThan(0);
  expect(new Set(origins).size).toBe(origins.length);
  expect(await pipeline.run("dlq", "replay")).toMatchObject({ exitCode: 0 });
  await expectEqual();
});
