import { setTimeout as sleep } from "node:timers/promises";
import { apiKeys } from "../../../test/support/kafka-proxy.ts";
import type { ProtocolProxy } from "../../../test/support/protocol-proxy.ts";
import { between } from "../../../test/support/random.ts";
import type { Random } from "../../../test/support/random.ts";
import type { TcpProxy } from "../../../test/support/tcp-proxy.ts";
import type { Fault } from "../fault.ts";

const servers = {
  mongodbUri: "MongoDB",
  kafkaBrokers: "Kafka",
  schemaRegistryUrl: "registry",
  postgresUrl: "PostgreSQL",
} as const;

/** The controls of a proxy. */
type Way = Omit<TcpProxy, "host" | "port">;

/** Disturbances of the connection to a server. */
const disturbances: Readonly<Record<string, (proxy: Way, random: Random) => Promise<void>>> = {
  cut: async (proxy, random) => {
    proxy.cut();
    await sleep(between(random, 100, 8_000));
    proxy.restore();
  },
  "cut repeatedly": async (proxy, random) => {
    for (let times = between(random, 3, 10); times > 0; times--) {
      proxy.cut();
      await sleep(between(random, 1, 200));
      proxy.restore();
      await sleep(between(random, 10, 1_500));
    }
  },
  slow: async (proxy, random) => {
    proxy.setLatencyMs(between(random, 5, 300));
    await sleep(between(random, 2_000, 8_000));
    proxy.setLatencyMs(0);
  },
  "half-open": async (proxy, random) => {
    proxy.pauseResponses();
    await sleep(between(random, 1_000, 12_000));
    await endPause(proxy, random);
  },
  "black hole": async (proxy, random) => {
    proxy.pauseRequests();
    proxy.pauseResponses();
    await sleep(between(random, 1_000, 12_000));
    await endPause(proxy, random);
  },
};

/** Processes that start meanwhile wait for the server, or give up and are restarted. */
function startWithout(server: keyof typeof servers): Fault {
  return {
    kind: `start without ${servers[server]}`,
    touches: [server, "producer", "consumer"],
    inject: async ({ fleet, proxies }, random) => {
      proxies[server].cut();
      for (const command of ["produce", "consume"] as const) {
        await fleet.kill(fleet.main(command));
        fleet.replace(command);
      }
      await sleep(between(random, 1_000, 25_000));
      proxies[server].restore();
    },
  };
}

/** The delayed bytes arrive late, or never. */
async function endPause(proxy: Way, random: Random): Promise<void> {
  const isLost = random() < 0.5;
  if (isLost) proxy.cut();
  proxy.resume();
  await sleep(100);
  if (isLost) proxy.restore();
}

const ways = (Object.keys(servers) as (keyof typeof servers)[]).flatMap((server) => [
  startWithout(server),
  ...Object.entries(disturbances).map(([name, disturb]): Fault => ({
    kind: `${name} ${servers[server]}`,
    touches: [server],
    inject: ({ proxies }, random) => disturb(proxies[server], random),
  })),
]);

const kafkaRequests = {
  Produce: apiKeys.produce,
  Fetch: apiKeys.fetch,
  OffsetCommit: apiKeys.offsetCommit,
  JoinGroup: apiKeys.joinGroup,
  InitProducerId: apiKeys.initProducerId,
  AddPartitionsToTxn: apiKeys.addPartitionsToTxn,
  EndTxn: apiKeys.endTxn,
};

/** The server executes the requests, but the client gets no responses. */
async function loseResponses<Kind>(proxy: Pick<ProtocolProxy<Kind>, "setVerdict">, lost: Kind, random: Random) {
  const share = between(random, 0.3, 1);
  proxy.setVerdict((kind) => (kind === lost && random() < share ? "cut" : "pass"));
  await sleep(between(random, 500, 6_000));
  proxy.setVerdict(() => "pass");
}

const lostKafkaResponses = Object.entries(kafkaRequests).map(([name, apiKey]): Fault => ({
  kind: `lose ${name} responses`,
  touches: ["kafkaBrokers"],
  inject: ({ proxies }, random) => loseResponses(proxies.kafkaBrokers, apiKey, random),
}));

const lostMongodbResponses = ["aggregate", "getMore", "find"].map((command): Fault => ({
  kind: `lose ${command} responses`,
  touches: ["mongodbUri"],
  inject: ({ proxies }, random) => loseResponses(proxies.mongodbUri, command, random),
}));

export const networkFaults: readonly Fault[] = [...ways, ...lostKafkaResponses, ...lostMongodbResponses];
