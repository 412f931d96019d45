// The four servers in containers of their official images, with the same settings as in the local stack.
import { randomBytes } from "node:crypto";
import { reported } from "../../reported.ts";
import { onFreePorts } from "../free-ports.ts";
import { formReplicaSet, memberAnswers } from "../replica-set.ts";
import { kafkaAnswers, postgresAnswers, registryAnswers } from "../server-answers.ts";
import {
  KAFKA_HEAP,
  POSTGRES_INITDB,
  POSTGRES_SETTINGS,
  REGISTRY_JVM,
  REGISTRY_PATH,
  kafkaProperties,
  mongodArguments,
} from "../server-settings.ts";
import type { MongodbSettings } from "../server-settings.ts";
import type { ServerUrls } from "../server-urls.ts";
import type { StartedServer } from "../types.ts";
import type { ServerImages } from "./compose-images.ts";
import type { Containers } from "./containers.ts";

/** What a server needs to start in a container. */
export interface DockerContext {
  readonly containers: Containers;
  readonly images: ServerImages;
  readonly mongodb: MongodbSettings;
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

type Start = (context: DockerContext, image: string, ports: readonly number[]) => Promise<StartedServer>;

const servers: Readonly<Record<keyof ServerUrls, readonly [name: string, Start]>> = {
  mongodbUri: ["MongoDB", startMongodb],
  kafkaBrokers: ["Kafka", startKafka],
  schemaRegistryUrl: ["Schema registry", startRegistry],
  postgresUrl: ["PostgreSQL", startPostgres],
};

/** Starts a server and waits until a client can use it. */
export async function startInDocker(key: keyof ServerUrls, context: DockerContext): Promise<StartedServer> {
  const [name, start] = servers[key];
  const image = context.images[key];
  const what = `${name} (${image} in Docker)`;
  const ports = key === "mongodbUri" ? context.mongodb.members : 1;
  return await reported(context.report, [`${what}: starting`, `${what}: ready`], () =>
    onFreePorts(ports, (ports) => start(context, image, ports)),
  );
}

/**
 * The members share the network of a container that only sleeps. So `127.0.0.1:port` is the same member for the other
 * members and, through the published port, for clients on the host. A crashed member does not take the network with it.
 */
async function startMongodb(
  { containers, mongodb, signal }: DockerContext,
  image: string,
  ports: readonly number[],
): Promise<StartedServer> {
  const networkOf = await containers.run({
    name: "The network of MongoDB's members",
    image,
    entrypoint: ["sleep", "infinity"],
    ports: ports.map((port) => [port, port]),
  });
  const members = await Promise.all(
    ports.map(async (port) => {
      const host = `127.0.0.1:${port}`;
      const command = ["mongod", "--bind_ip_all", `--port=${port}`, ...mongodArguments(mongodb)];
      const member = { name: "MongoDB", image, command, networkOf };
      return { host, restart: await containers.serve(member, signal, () => memberAnswers(host)) };
    }),
  );
  return await formReplicaSet(members, signal);
}

/** The port is the same inside and outside, because Kafka also connects to itself by the address for its clients. */
async function startKafka(
  { containers, signal }: DockerContext,
  image: string,
  [port = 0]: readonly number[],
): Promise<StartedServer> {
  const place = { bind: "0.0.0.0", brokerPort: port, controllerPort: 9093, data: "/var/lib/kafka/data" };
  const settings = Object.entries(kafkaProperties(place)).map(
    ([key, value]) => [kafkaVariable(key), String(value)] as const,
  );
  const server = {
    name: "Kafka",
    image,
    environment: { ...Object.fromEntries(settings), KAFKA_HEAP_OPTS: KAFKA_HEAP },
    ports: [[port, port]] as const,
  };
  const url = `127.0.0.1:${port}`;
  return { url, restart: await containers.serve(server, signal, () => kafkaAnswers(url)) };
}

/** The environment variable that sets a property of Kafka in the image. */
function kafkaVariable(property: string): string {
  return `KAFKA_${property.toUpperCase().replaceAll(".", "_")}`;
}

async function startRegistry(
  { containers, signal }: DockerContext,
  image: string,
  [port = 0]: readonly number[],
): Promise<StartedServer> {
  const server = {
    name: "The schema registry",
    image,
    // Not in the image's own variable for JVM options: that would replace the image's value.
    environment: { JAVA_TOOL_OPTIONS: REGISTRY_JVM.join(" ") },
    ports: [[port, 8080]] as const,
  };
  const url = `http://127.0.0.1:${port}${REGISTRY_PATH}`;
  return { url, restart: await containers.serve(server, signal, () => registryAnswers(url)) };
}

/** PostgreSQL with a random password. */
async function startPostgres(
  { containers, signal }: DockerContext,
  image: string,
  [port = 0]: readonly number[],
): Promise<StartedServer> {
  const password = randomBytes(16).toString("hex");
  const server = {
    name: "PostgreSQL",
    image,
    command: ["postgres", ...POSTGRES_SETTINGS.flatMap((setting) => ["-c", setting])],
    environment: { POSTGRES_PASSWORD: password, POSTGRES_INITDB_ARGS: POSTGRES_INITDB.join(" ") },
    ports: [[port, 5432]] as const,
  };
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return { url, restart: await containers.serve(server, signal, () => postgresAnswers(url)) };
}
