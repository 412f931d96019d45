// Each function resolves if a client can use the server, and rejects as long as it cannot.
import { logLevel } from "kafkajs";
import type { KafkaConfig } from "kafkajs";
import { Client } from "pg";
import { newKafka } from "../../src/kafka/client.ts";

export async function kafkaAnswers(broker: string, sasl?: KafkaConfig["sasl"]): Promise<void> {
  const admin = newKafka({
    brokers: [broker],
    ...(sasl === undefined ? {} : { sasl }),
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    requestTimeout: 2000,
    retry: { retries: 0 },
  }).admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    if (brokers.length === 0) throw new Error("The broker is still fenced.");
  } finally {
    await admin.disconnect();
  }
}

export async function registryAnswers(url: string): Promise<void> {
  const response = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(2000) });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
}

export async function postgresAnswers(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end();
  }
}
