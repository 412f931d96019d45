import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { findMongod } from "./mongod.ts";
import { onFreePorts } from "./free-ports.ts";
import { reported } from "./reported.ts";
import type { LocalContext, LocalServer, StartServer } from "./stack-local.ts";

export interface MongodbSettings {
  readonly oplogSizeMb: number;
  /** How often it writes its data to disk; only what is older can leave the oplog. */
  readonly syncSeconds: number;
}

const SETTINGS: MongodbSettings = { oplogSizeMb: 2048, syncSeconds: 60 };

/** MongoDB as a replica set of one member: change streams and transactions need one. */
export async function prepareMongodb(cache: string, signal: AbortSignal, settings = SETTINGS): Promise<StartServer> {
  const provide = await findMongod(cache, signal);
  return async (context) => {
    const mongod = await provide(context);
    return await reported(context.report, ["MongoDB: starting", "MongoDB: ready"], () =>
      onFreePorts(1, (ports) => startMongodb(context, mongod, ports, settings)),
    );
  };
}

async function startMongodb(
  { supervisor, signal }: LocalContext,
  mongod: string,
  [port = 0]: readonly number[],
  { oplogSizeMb, syncSeconds }: MongodbSettings,
): Promise<LocalServer> {
  const folder = join(supervisor.folder, `mongodb-${port}`);
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const server = {
    name: "MongoDB",
    command: mongod,
    args: [
      "--replSet=headrace",
      "--bind_ip=127.0.0.1",
      `--port=${port}`,
      `--dbpath=${data}`,
      "--nounixsocket",
      `--oplogSize=${oplogSizeMb}`,
      `--syncdelay=${syncSeconds}`,
      "--wiredTigerCacheSizeGB=0.5",
      // For tests: failCommand and other fail points.
      "--setParameter=enableTestCommands=1",
      "--setParameter=diagnosticDataCollectionEnabled=false",
    ],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  };
  const member = `127.0.0.1:${port}`;
  const restart = await supervisor.serve(server, signal, () => becomesPrimary(member));
  return { url: `mongodb://${member}/?replicaSet=headrace`, restart };
}

async function becomesPrimary(member: string): Promise<void> {
  const client = new MongoClient(`mongodb://${member}/?directConnection=true`, { serverSelectionTimeoutMS: 2000 });
  try {
    const admin = client.db("admin");
    const { setName, isWritablePrimary } = await admin.command({ hello: 1 });
    if (setName === undefined) {
      await admin.command({ replSetInitiate: { _id: "headrace", members: [{ _id: 0, host: member }] } });
    }
    if (isWritablePrimary !== true || setName === undefined) throw new Error("There is no primary yet.");
  } finally {
    await client.close();
  }
}
