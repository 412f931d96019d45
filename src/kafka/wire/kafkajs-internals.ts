import { createRequire } from "node:module";
import type { Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";

const require = createRequire(import.meta.url);

/** The version that this folder was written against. */
const KAFKAJS_VERSION = "2.2.4";

/** @throws HeadraceError KAFKA_CLIENT_UNKNOWN for every other version of kafkajs */
function requireKnownVersion(): void {
  const { version } = require("kafkajs/package.json") as { version: string };
  if (version === KAFKAJS_VERSION) return;
  throw new HeadraceError("KAFKA_CLIENT_UNKNOWN", {
    message: `Headrace needs kafkajs ${KAFKAJS_VERSION}, but kafkajs ${version} is installed.`,
  });
}

/** How kafkajs encodes one kind of request and decodes the response. */
interface RequestDefinition<Request, Exchange> {
  protocol: (options: { readonly version: number }) => (request: Request) => Exchange;
}

/**
 * A row of kafkajs's table of requests (its `src/protocol/requests/index.js`). kafkajs reads the row whenever it sends
 * such a request: a replaced part is used by every client in the process.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function kafkajsRequest<Request, Exchange>(name: string): RequestDefinition<Request, Exchange> {
  requireKnownVersion();
  const { requests } = require("kafkajs/src/protocol/requests/index.js") as { requests: Record<string, unknown> };
  return requests[name] as RequestDefinition<Request, Exchange>;
}

/** What we use of kafkajs's `Cluster` (its `src/cluster/index.js`): connections, metadata, logins. */
export interface KafkajsCluster<FetchResponse> {
  connect(): Promise<void>;
  /** Waits for the requests on their way. */
  disconnect(): Promise<void>;
  /** Fetches the topic's metadata at the first call. */
  addTargetTopic(topic: string): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(options: { readonly nodeId: number }): Promise<KafkajsBroker<FetchResponse>>;
  /** The first offsets with `fromBeginning`; else the ends for read_committed readers (last stable offsets). */
  fetchTopicsOffset(
    topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number }[];
      readonly fromBeginning: boolean;
    }[],
  ): Promise<readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[]>;
}

interface KafkajsBroker<FetchResponse> {
  /** Reads as read_committed by default. */
  fetch(request: {
    /** ms */
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly fetchOffset: string;
        readonly maxBytes: number;
      }[];
    }[];
  }): Promise<FetchResponse>;
}

/**
 * Connections of their own to the client's brokers, as each producer, consumer and admin client of kafkajs has them.
 * @throws HeadraceError KAFKA_CLIENT_UNKNOWN
 */
export function kafkajsCluster<FetchResponse>(kafka: Kafka): KafkajsCluster<FetchResponse> {
  requireKnownVersion();
  // A private method of the client (`src/index.js`), under a symbol that kafkajs does not export.
  const name = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === "private:Kafka:createCluster",
  );
  const client = kafka as unknown as Record<symbol, (options: object) => KafkajsCluster<FetchResponse>>;
  const create = name === undefined ? undefined : client[name];
  if (create === undefined)
    throw new HeadraceError("KAFKA_CLIENT_UNKNOWN", { message: "kafkajs has no createCluster." });
  return create({ metadataMaxAge: METADATA_MAX_AGE_MS, allowAutoTopicCreation: false });
}

/** As kafkajs's consumers have it by default. */
const METADATA_MAX_AGE_MS = 300_000;
