// Sinks on a schema of their own. What it makes is closed after the test file.
import type { Pool } from "pg";
import { afterAll } from "vitest";
import type { MicroBatch, TableName } from "../../../src/consumers/ports.ts";
import { PostgresClient } from "../../../src/consumers/postgres/client.ts";
import type { PostgresOptions } from "../../../src/consumers/postgres/client.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { Change, RowSchema } from "../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../support/cells.ts";
import { freshPostgresSchema, servers } from "../../support/servers.ts";
import { startProxy } from "../../support/tcp-proxy.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";

const clients: PostgresClient[] = [];
const proxies: TcpProxy[] = [];

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
});

export function openClient(options: Partial<PostgresOptions> = {}): PostgresClient {
  const client = new PostgresClient({
    url: servers().postgresUrl,
    connections: 4,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 60_000,
    idleInTransactionTimeoutMs: 30_000,
    ...options,
  });
  clients.push(client);
  return client;
}

export interface SinkFixture {
  /** Holds Headrace's own tables and those of collections. */
  readonly schema: string;
  /** Other sessions, to look and to interfere. */
  readonly pool: Pool;
  readonly sink: PostgresSink;
  /** A sink of its own connections on the same tables, like another process. */
  readonly openSink: (options?: Partial<PostgresOptions>) => PostgresSink;
}

/** A topic of one partition, where truncates don't matter. */
export const onePartition = (): Promise<number> => Promise.resolve(1);

/** @param partitionsOf how many partitions each topic has, for truncates */
export async function freshSink(partitionsOf: (topic: string) => Promise<number> = onePartition): Promise<SinkFixture> {
  const { schema, pool } = await freshPostgresSchema();
  const openSink = (options: Partial<PostgresOptions> = {}): PostgresSink =>
    new PostgresSink(openClient(options), { internalSchema: schema, partitionsOf });
  return { schema, pool, sink: openSink(), openSink };
}

/** One text column; what most tests need. */
export const textSchema: RowSchema = { idType: "string", children: [], columns: [{ name: "value", sqlType: "text" }] };

export function upsert(key: string, version: number, value: string | null, rowSchema = textSchema): Change {
  return {
    op: "u",
    key,
    version: BigInt(version),
    children: [],
    cells: cellsOf(rowSchema.columns.map(() => value)),
    rowSchema,
  };
}

export function deletion(key: string, version: number, rowSchema = textSchema): Change {
  return { op: "d", key, version: BigInt(version), children: [], cells: null, rowSchema };
}

export function truncate(version: number): Change {
  return { op: "t", key: "", version: BigInt(version), children: [], cells: null, rowSchema: textSchema };
}

/** The batch that follows `offset` in partition 0 of the topic `t`. */
export function batchAt(offset: number, table: TableName, changes: readonly Change[], partition = 0): MicroBatch {
  return {
    topic: "t",
    partition,
    table,
    expectedOffset: BigInt(offset),
    nextOffset: BigInt(offset + Math.max(1, changes.length)),
    changes,
  };
}

/** The address of PostgreSQL, changed. */
export function urlWith(change: (url: URL) => void): string {
  const url = new URL(servers().postgresUrl);
  change(url);
  return url.href;
}

/** A client behind a proxy. */
interface Proxied {
  readonly client: PostgresClient;
  readonly proxy: TcpProxy;
}

export async function behindProxy(
  filter?: Parameters<typeof startProxy>[0]["filter"],
  options: Parameters<typeof openClient>[0] = {},
): Promise<Proxied> {
  const { hostname, port } = new URL(servers().postgresUrl);
  const target = { targetHost: hostname, targetPort: Number(port) };
  const proxy = await startProxy(filter === undefined ? target : { ...target, filter });
  proxies.push(proxy);
  const url = urlWith((url) => {
    url.host = `${proxy.host}:${proxy.port}`;
  });
  return { client: openClient({ url, ...options }), proxy };
}
