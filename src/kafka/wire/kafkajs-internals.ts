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

/** A module of kafkajs that it does not export. @throws HeadraceError KAFKA_CLIENT_UNKNOWN */
export function kafkajsModule(path: string): unknown {
  requireKnownVersion();
  return require(`kafkajs/${path}`);
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
  const { requests } = kafkajsModule("src/protocol/requests/index.js") as { requests: Record<string, unknown> };
  return requests[name] as RequestDefinition<Request, Exchange>;
}

/** How kafkajs sends a request and reads the response (its `src/network/connection.js`). */
export interface KafkajsExchange<Response> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    readonly encode: () => Promise<EncodedRequest>;
  };
  readonly response: {
    readonly decode: (bytes: Buffer) => Promise<Response>;
    readonly parse: (response: Response) => Promise<Response>;
  };
}

/** An encoded request, with the fields of kafkajs's Encoder that kafkajs reads. */
export interface EncodedRequest {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** The error that kafkajs makes of an error code of the protocol (its `src/protocol/error.js`). */
export function protocolError(code: number): Error {
  const { createErrorFromCode } = kafkajsModule("src/protocol/error.js") as {
    createErrorFromCode: (code: number) => Error;
  };
  return createErrorFromCode(code);
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
  readonly brokerPool: {
    /** One of the brokers, whichever. */
    findConnectedBroker(): Promise<KafkajsBroker<FetchResponse>>;
    /** By their ids. */
    readonly brokers: Readonly<Record<number, Pick<KafkajsBroker<FetchResponse>, "connectionPool">>>;
    /** The one that is asked for the others. */
    readonly seedBroker?: Pick<KafkajsBroker<FetchResponse>, "connectionPool">;
  };
  refreshMetadata(): Promise<void>;
  /** The broker that coordinates a consumer group (type 0) or the transactions of an id (type 1). */
  findGroupCoordinator(options: {
    readonly groupId: string;
    readonly coordinatorType: 0 | 1;
  }): Promise<KafkajsBroker<FetchResponse>>;
  /** The first offsets with `fromBeginning`; else the ends for read_committed readers (last stable offsets). */
  fetchTopicsOffset(
    topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number }[];
      readonly fromBeginning: boolean;
    }[],
  ): Promise<readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[]>;
}

export interface KafkajsBroker<FetchResponse> {
  /** The versions of requests that the broker knows, by the request's key. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null;
  /** Sends requests that kafkajs itself does not have. */
  /** Of all topics, for brokers before 2.8. Throws where one of the topics has an error. */
  metadata(topics: readonly []): Promise<{
    readonly topicMetadata: readonly {
      readonly topic: string;
      readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[];
    }[];
  }>;
  listOffsets(request: {
    /** -1: a client. */
    readonly replicaId: -1;
    /** 1: read_committed. Then the end is the last stable offset. */
    readonly isolationLevel: 0 | 1;
    readonly topics: readonly {
      readonly topic: string;
      /** A timestamp of -1 is the end, -2 the first offset. */
      readonly partitions: readonly { readonly partition: number; readonly timestamp: string }[];
    }[];
  }): Promise<{
    readonly responses: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[];
  }>;
  readonly connectionPool: {
    send<Response>(exchange: KafkajsExchange<Response>): Promise<Response>;
    map(use: (connection: { rejectRequests(error: Error): void }) => void): unknown;
  };
  endTxn(request: {
    readonly transactionalId: string;
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly transactionResult: boolean;
  }): Promise<unknown>;
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

/** Lets all requests on their way fail at once. Their connections must be closed then: the answers may still come. */
export function abandonRequests({ brokerPool }: KafkajsCluster<unknown>): void {
  const { brokers, seedBroker } = brokerPool;
  for (const broker of [...Object.values(brokers), seedBroker]) {
    broker?.connectionPool.map((connection) => connection.rejectRequests(new Error("the request was abandoned")));
  }
}

/** As kafkajs's consumers have it by default. */
const METADATA_MAX_AGE_MS = 300_000;
