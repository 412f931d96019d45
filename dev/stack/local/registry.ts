import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { reported } from "../../reported.ts";
import { onFreePorts } from "../free-ports.ts";
import { registryAnswers } from "../server-answers.ts";
import { REGISTRY_JVM, REGISTRY_PATH } from "../server-settings.ts";
import type { StartedServer } from "../types.ts";
import { isCached } from "./cache.ts";
import { downloadByMaven } from "./maven.ts";
import { findJava, requireMaven } from "./tools.ts";
import type { LocalContext, StartServer } from "./types.ts";

/** 3.x needs Java 21. */
export const REGISTRY_VERSION = "2.6.13.Final";
const name = `Schema registry (Apicurio ${REGISTRY_VERSION})`;

const download = {
  name,
  entry: `apicurio-registry-${REGISTRY_VERSION}`,
  sizeMegabytes: 95,
  goal: "unpack-dependencies",
  dependencies: `
    <dependency>
      <groupId>io.apicurio</groupId><artifactId>apicurio-registry-app</artifactId><version>${REGISTRY_VERSION}</version>
      <classifier>all</classifier><type>tar.gz</type>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
  `,
} as const;

/** Apicurio Registry, in memory, with its implementation of Confluent's API. */
export async function prepareRegistry(cache: string, signal: AbortSignal): Promise<StartServer> {
  const java = await findJava(signal);
  if (!(await isCached(cache, download.entry))) await requireMaven(signal);
  return async (context) => {
    const program = await downloadByMaven(download, context);
    return await reported(context.report, [`${name}: starting`, `${name}: ready`], () =>
      onFreePorts(1, (ports) => startRegistry(context, java, program, ports)),
    );
  };
}

async function startRegistry(
  { supervisor, signal }: LocalContext,
  java: string,
  program: string,
  [port = 0]: readonly number[],
): Promise<StartedServer> {
  const jar = (await readdir(program)).find((file) => file.endsWith("-runner.jar"));
  if (jar === undefined)
    throw new Error(`${program} has no *-runner.jar. Remove this folder; the next start downloads it again.`);
  const folder = join(supervisor.folder, `registry-${port}`);
  await mkdir(folder);
  const url = `http://127.0.0.1:${port}${REGISTRY_PATH}`;
  const server = {
    name: "The schema registry",
    command: java,
    args: [
      ...REGISTRY_JVM,
      "-XX:+UseSerialGC",
      "-Dquarkus.http.host=127.0.0.1",
      `-Dquarkus.http.port=${port}`,
      "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
      "-jar",
      join(program, jar),
    ],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  };
  const restart = await supervisor.serve(server, signal, () => registryAnswers(url));
  return { url, restart };
}
