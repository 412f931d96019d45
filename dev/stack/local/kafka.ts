import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KafkaConfig } from "kafkajs";
import { reported } from "../../reported.ts";
import { onFreePorts } from "../free-ports.ts";
import { kafkaAnswers } from "../server-answers.ts";
import { KAFKA_HEAP, kafkaProperties } from "../server-settings.ts";
import type { StartedServer } from "../types.ts";
import { isCached } from "./cache.ts";
import { downloadByMaven } from "./maven.ts";
import type { MavenContext } from "./maven.ts";
import { findJava, requireMaven } from "./tools.ts";
import type { LocalContext, StartServer } from "./types.ts";

export const KAFKA_VERSION = "4.3.1";
const name = `Kafka ${KAFKA_VERSION}`;

const download = {
  name,
  entry: `kafka-${KAFKA_VERSION}`,
  sizeMegabytes: 54,
  goal: "copy-dependencies",
  dependencies: `
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
  `,
} as const;

/** What makes a Kafka other than that of the stack. */
export interface OwnKafka {
  /** Properties besides those of `kafkaProperties`, or in their place. */
  readonly properties: Readonly<Record<string, string>>;
  readonly sasl?: KafkaConfig["sasl"];
  /** Of its broker and its controller. Default: free ones. */
  readonly ports?: readonly [broker: number, controller: number];
  /** The same for all nodes of a cluster. */
  readonly clusterId?: string;
}

/** Kafka as one KRaft node. */
export function prepareKafka(cache: string, signal: AbortSignal): Promise<StartServer> {
  return prepareOwnKafka(cache, signal, { properties: {} });
}

export async function prepareOwnKafka(cache: string, signal: AbortSignal, own: OwnKafka): Promise<StartServer> {
  const java = await findJava(signal);
  if (!(await isCached(cache, download.entry))) await requireMaven(signal);
  return async (context) => {
    const libraries = await kafkaLibraries(context);
    const start = (ports: readonly number[]) => startKafka(context, { java, libraries, own }, ports);
    return await reported(context.report, [`${name}: starting`, `${name}: ready`], () =>
      own.ports === undefined ? onFreePorts(2, start) : start(own.ports),
    );
  };
}

/** The folder of Kafka's jars, among them Kafka Connect's. Downloads them if they are not in the cache. */
export async function kafkaLibraries(context: MavenContext): Promise<string> {
  return await downloadByMaven(download, context);
}

async function startKafka(
  { supervisor, signal }: LocalContext,
  { java, libraries, own }: { readonly java: string; readonly libraries: string; readonly own: OwnKafka },
  [brokerPort = 0, controllerPort = 0]: readonly number[],
): Promise<StartedServer> {
  const folder = join(supervisor.folder, `kafka-${brokerPort}`);
  const properties = join(folder, "server.properties");
  const log4j = join(folder, "log4j2.properties");
  await mkdir(folder);
  const place = { bind: "127.0.0.1", brokerPort, controllerPort, data: join(folder, "data") };
  const settings = { ...kafkaProperties(place), ...own.properties };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(properties, lines.join(""));
  await writeFile(log4j, LOG4J_PROPERTIES);
  const run = (name: string, heap: string, main: readonly string[]) => ({
    name,
    command: java,
    args: [heap, "-XX:+UseSerialGC", `-Dlog4j2.configurationFile=${log4j}`, "-cp", join(libraries, "*"), ...main],
    cwd: folder,
    logFile: join(folder, "server.log"),
    stopSignal: "SIGKILL" as const,
  });
  const { clusterId = newClusterId() } = own;
  // One argument: the id may begin with a dash, which would be read as an option.
  const format = ["kafka.tools.StorageTool", "format", `--cluster-id=${clusterId}`, "-c", properties];
  await supervisor.run(run("Kafka's StorageTool", "-Xmx128m", format), signal);

  const broker = `127.0.0.1:${brokerPort}`;
  const server = run("Kafka", KAFKA_HEAP, ["kafka.Kafka", properties]);
  const restart = await supervisor.serve(server, signal, () => kafkaAnswers(broker, own.sasl));
  return { url: broker, restart };
}

export function newClusterId(): string {
  return Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex").toString("base64url");
}

/** Warnings and errors to standard output. */
export const LOG4J_PROPERTIES = `rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=Console
appender.console.type=Console
appender.console.name=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n
`;
