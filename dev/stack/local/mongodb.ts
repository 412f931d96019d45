import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { reported } from "../../reported.ts";
import { onFreePorts } from "../free-ports.ts";
import { formReplicaSet, memberAnswers } from "../replica-set.ts";
import type { MemberServer } from "../replica-set.ts";
import { ONE_MEMBER, mongodArguments } from "../server-settings.ts";
import type { MongodbSettings } from "../server-settings.ts";
import { findMongod } from "./mongod.ts";
import type { LocalContext, StartServer } from "./types.ts";

export async function prepareMongodb(
  cache: string,
  signal: AbortSignal,
  settings: Partial<MongodbSettings> = {},
): Promise<StartServer> {
  const provide = await findMongod(cache, signal);
  const all = { ...ONE_MEMBER, ...settings };
  return async (context) => {
    const mongod = await provide(context);
    return await reported(context.report, ["MongoDB: starting", "MongoDB: ready"], () =>
      onFreePorts(all.members, async (ports) => {
        const members = await Promise.all(ports.map((port) => startMember(context, mongod, port, all)));
        return await formReplicaSet(members, context.signal);
      }),
    );
  };
}

async function startMember(
  { supervisor, signal }: LocalContext,
  mongod: string,
  port: number,
  settings: MongodbSettings,
): Promise<MemberServer> {
  const folder = join(supervisor.folder, `mongodb-${port}`);
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  const server = {
    name: "MongoDB",
    command: mongod,
    args: ["--bind_ip=127.0.0.1", `--port=${port}`, `--dbpath=${data}`, ...mongodArguments(settings)],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  };
  const host = `127.0.0.1:${port}`;
  return { host, restart: await supervisor.serve(server, signal, () => memberAnswers(host)) };
}
