import { expect, onTestFinished, test } from "vitest";
import { servers } from "../support/servers.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { freshCollection } from "./consumer-fixture.ts";
import type { RunningConsumer, TestEvent } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";
import { sessionTimeoutMs, until } from "./kafka/reader.ts";

const fixture = useKafka();

const priced = (id: string, version: number, price: number): TestEvent => ({
  id,
  version,
  document: { name: id, price },
});
const count = ({ lines }: RunningConsumer, text: string) => lines.filter(({ message }) => message === text).length;

async function collectionBehindProxy() {
  const collection = await freshCollection(fixture, undefined, 2);
  const { hostname, port } = new URL(servers().postgresUrl);
  const proxy = await startProxy({ targetHost: hostname, targetPort: Number(port) });
  onTestFinished(() => proxy.close());
  const url = new URL(servers().postgresUrl);
  url.host = `${proxy.host}:${proxy.port}`;
  const sink = collection.openSink({ url: url.href, statementTimeoutMs: 1_000 });
  return { collection, proxy, sink };
}

test("an outage of PostgreSQL that is longer than the group's session causes no rebalance, no loss and no dead letter", async () => {
  const { collection, proxy, sink } = await collectionBehindProxy();
  await collection.publish([priced("a", 1, 1), priced("b", 2, 2)]);
  const consumer = collection.start({ sink });
  await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b"]));
  proxy.cut();
  await collection.publish([priced("a", 3, 3), priced("c", 4, 4)]);
  await until(() => expect(count(consumer, "trying again")).toBeGreaterThan(0));
  const cutAt = performance.now();
  // What is to be seen is that nothing happens for so long.
  await until(() => expect(performance.now() - cutAt).toBeGreaterThan(1.4 * sessionTimeoutMs));
  proxy.restore();
  await until(async () =>
    expect(await collection.rows()).toEqual({
      a: { version: 3, name: "a", price: 3 },
      b: { version: 2, name: "b", price: 2 },
      c: { version: 4, name: "c", price: 4 },
    }),
  );
  expect(count(consumer, "partitions assigned")).toBe(1);
  await consumer.stop();
});

test("a member that joins during an outage of PostgreSQL gets its partitions, and all continue afterwards", async () => {
  const { collection, proxy, sink } = await collectionBehindProxy();
  await collection.publish([priced("a", 1, 1), priced("b", 2, 2)]);
  proxy.cut();
  const first = collection.start({ sink });
  await until(() => expect(count(first, "trying again")).toBeGreaterThan(0));
  const second = collection.start({ sink });
  await until(() => expect(count(second, "partitions assigned")).toBe(1));
  await until(() => expect(count(first, "partitions assigned")).toBe(2));
  proxy.restore();
  await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b"]));
  expect(count(first, "partitions assigned") + count(second, "partitions assigned")).toBe(3);
});

test("a stop during an outage of PostgreSQL does not wait for its end", async () => {
  const { collection, proxy, sink } = await collectionBehindProxy();
  await collection.publish([priced("a", 1, 1)]);
  proxy.cut();
  const consumer = collection.start({ sink });
  await until(() => expect(count(consumer, "trying again")).toBeGreaterThan(0));
  await consumer.stop();
});

test("a lost answer of PostgreSQL times out, and the batch is not applied twice", async () => {
  const { collection, proxy, sink } = await collectionBehindProxy();
  await collection.publish([priced("a", 1, 1)]);
  const consumer = collection.start({ sink });
  await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a"]));
  proxy.pauseResponses();
  await collection.publish([priced("b", 2, 2)]);
  await until(() => expect(count(consumer, "trying again")).toBeGreaterThan(0));
  proxy.cut();
  proxy.resume();
  proxy.restore();
  await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b"]));
  await collection.publish([priced("c", 3, 3)]);
  await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b", "c"]));
});
