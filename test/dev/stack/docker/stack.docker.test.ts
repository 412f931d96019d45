import { setTimeout as sleep } from "node:timers/promises";
import { Kafka, logLevel } from "kafkajs";
import { MongoClient } from "mongodb";
import { Client } from "pg";
import type { ContainerRuntimeClient } from "testcontainers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { composeImages } from "../../../../dev/stack/docker/compose-images.ts";
import { Containers, LABEL } from "../../../../dev/stack/docker/containers.ts";
import { EngineUnusable, findEngine, prepareEngine } from "../../../../dev/stack/docker/engine.ts";
import { startDockerStack } from "../../../../dev/stack/docker/stack.ts";
import type { Stack } from "../../../../dev/stack/types.ts";

const { signal } = new AbortController();
const options = { signal, report: () => {}, hasElections: true };

describe("the stack in Docker", () => {
  test("crashed servers restart at the same address with their data, and stop() leaves nothing", async () => {
    const stack = await startDockerStack(options);
    onTestFinished(() => stack.stop());
    const own = await madeFor(stack);
    expect(own.containers).toHaveLength(7);
    expect(own.volumes.length).toBeGreaterThanOrEqual(3);
    const primary = await primaryOf(stack);
    await write(stack);
    await Promise.all(Object.values(stack.restarts).map((restart) => restart()));
    expect(await read(stack)).toEqual({ mongodb: [7], topics: expect.arrayContaining(["kept"]), postgres: [{ n: 7 }] });
    expect(await primaryOf(stack)).not.toBe(primary);
    expect((await fetch(`${stack.schemaRegistryUrl}/subjects`)).status).toBe(200);
    await stack.stop();
    await stack.stop();
    expect(await leftOf(own)).toEqual({ containers: [], volumes: [] });
  });

  test("an aborted start leaves nothing", async () => {
    const before = await stacks();
    const interrupted = new AbortController();
    const start = startDockerStack({ ...options, signal: interrupted.signal });
    await sleep(1000);
    interrupted.abort(new Error("enough"));
    await expect(start).rejects.toThrow("enough");
    // Another test file may have its own stack for a while.
    await vi.waitFor(async () => expect(before).toEqual(expect.arrayContaining(await stacks())), { timeout: 120_000 });
  });

  test("the error of a container that does not start includes the end of its log", async () => {
    const { mongodbUri: image } = await composeImages();
    const containers = new Containers(await prepareEngine(await engine(), [image], options), () => {});
    onTestFinished(() => containers.stop());
    const server = { name: "MongoDB", image, command: ["mongod", "--nonsense"] };
    const ready = (): Promise<void> => Promise.reject(new Error("not yet"));
    const failure = containers.serve(server, signal, ready);
    await expect(failure).rejects.toThrow(/^MongoDB did not start: exit code \d+\. The end of its log:\n[^]*nonsense/);
  });

  test("the error names an image that cannot be pulled", async () => {
    const image = "localhost:1/headrace/none:0";
    const prepare = prepareEngine(await engine(), [image], options);
    await expect(prepare).rejects.toThrow(EngineUnusable);
    await expect(prepare).rejects.toThrow(`The image ${image} could not be pulled`);
  });
});

async function engine(): Promise<ContainerRuntimeClient> {
  const engine = await findEngine(signal);
  if (engine === undefined) throw new Error("The engine no longer answers.");
  return engine;
}

interface Made {
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
}

/** The containers that carry the same label as the stack's Kafka, and their volumes. */
async function madeFor({ kafkaBrokers }: Stack): Promise<Made> {
  const port = Number(kafkaBrokers.split(":")[1]);
  const all = await (await engine()).container.dockerode.listContainers({ all: true });
  const kafka = all.find(({ Ports }) => Ports.some(({ PublicPort }) => PublicPort === port));
  const own = all.filter(({ Labels }) => Labels[LABEL] === kafka?.Labels[LABEL]);
  return {
    containers: own.map(({ Id }) => Id),
    volumes: own.flatMap(({ Mounts }) => Mounts.flatMap(({ Type, Name }) => (Type === "volume" && Name ? [Name] : []))),
  };
}

async function leftOf(made: Made): Promise<Made> {
  const { dockerode } = (await engine()).container;
  const containers = new Set((await dockerode.listContainers({ all: true })).map(({ Id }) => Id));
  const volumes = new Set((await dockerode.listVolumes()).Volumes.map(({ Name }) => Name));
  return {
    containers: made.containers.filter((id) => containers.has(id)),
    volumes: made.volumes.filter((name) => volumes.has(name)),
  };
}

/** The labels of all stacks that have containers. */
async function stacks(): Promise<string[]> {
  const { dockerode } = (await engine()).container;
  const containers = await dockerode.listContainers({ all: true, filters: { label: [LABEL] } });
  return containers.map(({ Labels }) => Labels[LABEL] ?? "");
}

async function primaryOf({ mongodbUri }: Stack): Promise<unknown> {
  return await onMongodb(mongodbUri, async (client) => (await client.db("admin").command({ hello: 1 }))["primary"]);
}

async function write(stack: Stack): Promise<void> {
  await onMongodb(stack.mongodbUri, (client) =>
    client.db("kept").collection<{ n: number }>("kept").insertOne({ n: 7 }),
  );
  await onKafka(stack, (admin) => admin.createTopics({ topics: [{ topic: "kept" }], waitForLeaders: true }));
  await onPostgres(stack, (client) => client.query("CREATE TABLE kept AS SELECT 7 AS n"));
}

async function read(stack: Stack): Promise<unknown> {
  return {
    mongodb: await onMongodb(stack.mongodbUri, (client) => client.db("kept").collection("kept").distinct("n")),
    topics: await onKafka(stack, (admin) => admin.listTopics()),
    postgres: await onPostgres(stack, async (client) => (await client.query("SELECT n FROM kept")).rows),
  };
}

async function onMongodb<T>(uri: string, use: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(uri);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

type Admin = ReturnType<Kafka["admin"]>;

async function onKafka<T>({ kafkaBrokers }: Stack, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [kafkaBrokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

async function onPostgres<T>({ postgresUrl }: Stack, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
