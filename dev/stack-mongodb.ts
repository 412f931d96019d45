import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import type { Db, Document } from "mongodb";
import { findMongod } from "./mongod.ts";
import { onFreePorts } from "./free-ports.ts";
import { reported } from "./reported.ts";
import type { LocalContext, LocalServer, StartServer } from "./stack-local.ts";

export interface MongodbSettings {
  /** Several are for elections. */
  readonly members: number;
  readonly oplogSizeMb: number;
  /** How often it writes its data to disk; only what is older can leave the oplog. */
  readonly syncSeconds: number;
  /** Of each member. */
  readonly cacheSizeGb: number;
}

const SETTINGS: MongodbSettings = { members: 1, oplogSizeMb: 2048, syncSeconds: 60, cacheSizeGb: 0.5 };
/** Of three members, at a size that fits beside the tests. */
export const THREE_MEMBERS: Partial<MongodbSettings> = { members: 3, oplogSizeMb: 990, cacheSizeGb: 0.25 };

const SET = "headrace";

export async function prepareMongodb(
  cache: string,
  signal: AbortSignal,
  settings: Partial<MongodbSettings> = {},
): Promise<StartServer> {
  const provide = await findMongod(cache, signal);
  const all = { ...SETTINGS, ...settings };
  return async (context) => {
    const mongod = await provide(context);
    return await reported(context.report, ["MongoDB: starting", "MongoDB: ready"], () =>
      onFreePorts(all.members, (ports) => startReplicaSet(context, mongod, ports, all)),
    );
  };
}

/** A replica set, also of one member: change streams and transactions need one. */
async function startReplicaSet(
  context: LocalContext,
  mongod: string,
  ports: readonly number[],
  settings: MongodbSettings,
): Promise<LocalServer> {
  const restarts = await Promise.all(ports.map((port) => startMember(context, mongod, port, settings)));
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  await repeatUntil(context.signal, () => becomesPrimary(hosts));
  const url = `mongodb://${hosts.join(",")}/?replicaSet=${SET}`;
  return {
    url,
    restart: async () => {
      await restarts[await primaryOf(hosts)]?.();
      await repeatUntil(context.signal, () => primaryOf(hosts));
    },
  };
}

/** Gives what crashes the member and starts it again. */
async function startMember(
  { supervisor, signal }: LocalContext,
  mongod: string,
  port: number,
  { oplogSizeMb, syncSeconds, cacheSizeGb }: MongodbSettings,
): Promise<() => Promise<void>> {
  const folder = join(supervisor.folder, `mongodb-${port}`);
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const server = {
    name: "MongoDB",
    command: mongod,
    args: [
      `--replSet=${SET}`,
      "--bind_ip=127.0.0.1",
      `--port=${port}`,
      `--dbpath=${data}`,
      "--nounixsocket",
      `--oplogSize=${oplogSizeMb}`,
      `--syncdelay=${syncSeconds}`,
      `--wiredTigerCacheSizeGB=${cacheSizeGb}`,
      // For tests: failCommand and other fail points.
      "--setParameter=enableTestCommands=1",
      "--setParameter=diagnosticDataCollectionEnabled=false",
    ],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  };
  return await supervisor.serve(server, signal, async () => {
    await onMember(`127.0.0.1:${port}`, ({ hello }) => hello());
  });
}

/** Makes a replica set of the members, once; throws while it has no primary. */
async function becomesPrimary(hosts: readonly string[]): Promise<void> {
  await onMember(hosts[0] ?? "", async ({ hello, admin }) => {
    if ((await hello()).setName !== undefined) return;
    const members = hosts.map((host, _id) => ({ _id, host }));
    await admin.command({ replSetInitiate: { _id: SET, members, settings: { electionTimeoutMillis: 4_000 } } });
  });
  await primaryOf(hosts);
}

/** The index of the primary; throws while there is none, or while a member cannot be used yet. */
async function primaryOf(hosts: readonly string[]): Promise<number> {
  const states = await Promise.all(hosts.map((host) => onMember(host, ({ hello }) => hello())));
  const primary = states.findIndex(({ isWritablePrimary }) => isWritablePrimary === true);
  const isComplete = states.every(
    ({ isWritablePrimary, secondary }) => isWritablePrimary === true || secondary === true,
  );
  if (primary === -1 || !isComplete) throw new Error("The replica set is not complete yet.");
  return primary;
}

interface Member {
  readonly admin: Db;
  readonly hello: () => Promise<Document>;
}

async function onMember<T>(host: string, work: (member: Member) => Promise<T>): Promise<T> {
  const client = new MongoClient(`mongodb://${host}/?directConnection=true`, { serverSelectionTimeoutMS: 2000 });
  try {
    const admin = client.db("admin");
    return await work({ admin, hello: () => admin.command({ hello: 1 }) });
  } finally {
    await client.close();
  }
}

/** What a server answers while an election is under way is not worth telling apart. */
async function repeatUntil(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() > deadline) throw error;
    }
    await sleep(50);
  }
}
