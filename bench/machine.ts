import { execFile } from "node:child_process";
import { arch, cpus, totalmem, type } from "node:os";
import { promisify } from "node:util";
import { MongoClient } from "mongodb";
import { Client } from "pg";
import { composeImages } from "../dev/stack/docker/compose-images.ts";
import { KAFKA_VERSION } from "../dev/stack/local/kafka.ts";
import { REGISTRY_VERSION } from "../dev/stack/local/registry.ts";
import type { Stack } from "../dev/stack/types.ts";
import type { BenchRecord, Machine } from "./record.ts";

const run = promisify(execFile);

/** The commit that is checked out. Files of `bench/history` do not count as changes. */
export async function currentCommit(): Promise<Pick<BenchRecord, "commit" | "subject" | "isModified">> {
  const git = async (...args: string[]): Promise<string> =>
    (await run("git", args, { cwd: import.meta.dirname })).stdout.trim();
  const changes = await git("status", "--porcelain", "--", ":/", ":(top,exclude)bench/history");
  return {
    commit: await git("rev-parse", "HEAD"),
    subject: await git("log", "-1", "--format=%s"),
    isModified: changes !== "",
  };
}

export async function describeMachine(stack: Stack): Promise<Machine> {
  const processors = cpus();
  return {
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? "unknown",
    memoryMb: Math.round(totalmem() / 2 ** 20),
    os: `${type()} ${arch()}`,
    node: process.versions.node,
    stack: stack.kind,
    servers: {
      mongodb: await mongodbVersion(stack.mongodbUri),
      postgres: await postgresVersion(stack.postgresUrl),
      ...(await javaServerVersions(stack)),
    },
  };
}

async function mongodbVersion(uri: string): Promise<string> {
  await using client = await new MongoClient(uri).connect();
  const { version } = await client.db("admin").command({ buildInfo: 1 });
  return String(version);
}

async function postgresVersion(connectionString: string): Promise<string> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
    return rows[0]?.server_version ?? "unknown";
  } finally {
    await client.end();
  }
}

/** Kafka and the registry do not tell their versions: known only of servers that the stack started. */
async function javaServerVersions({ kind, restarts }: Stack): Promise<Record<string, string>> {
  const images = kind === "docker" ? await composeImages() : undefined;
  return {
    ...(restarts.kafkaBrokers && { kafka: images?.kafkaBrokers ?? KAFKA_VERSION }),
    ...(restarts.schemaRegistryUrl && { registry: images?.schemaRegistryUrl ?? REGISTRY_VERSION }),
  };
}
