import { Kafka, logLevel } from "kafkajs";
import type { MongoClient } from "mongodb";
import type { Pool } from "pg";
import type { Stack } from "./stack.ts";

/** A pipeline whose source database and target schema are named as it is. */
interface NamedPipeline {
  readonly name: string;
  readonly stack: Stack;
  readonly source: MongoClient;
  readonly target: Pool;
}

/** Takes everything of a pipeline off servers that were not started for it alone; those end with all they hold. */
export async function dropPipeline({ name, stack, source, target }: NamedPipeline): Promise<void> {
  if (stack.kind === "local") return;
  await source.db(name).dropDatabase();
  await target.query(`DROP SCHEMA "${name}" CASCADE`);
  await target.query("DELETE FROM headrace.progress WHERE topic LIKE $1", [`${name}.%`]);
  await target.query("DELETE FROM headrace.tombstones WHERE relation LIKE $1", [`%${name}%`]);
  await target.query("DELETE FROM headrace.dead_letters WHERE topic LIKE $1", [`${name}.%`]);
  const admin = new Kafka({ brokers: stack.kafkaBrokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const topics = await admin.listTopics();
  await admin.deleteTopics({ topics: topics.filter((topic) => topic.startsWith(`${name}.`)) });
  await admin.disconnect();
}
