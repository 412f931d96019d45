import { Kafka, logLevel } from "kafkajs";
import type { Demo } from "./demo.ts";

/** Takes everything that the demo made off servers that it did not start itself. */
export async function dropDemo({ name, source, target, stack }: Demo): Promise<void> {
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
