import type { Kafka } from "kafkajs";
import type { MongoClient } from "mongodb";
import type { Pool } from "pg";
import type { KafkaProxy } from "../../test/support/kafka-proxy.ts";
import type { MongoProxy } from "../../test/support/mongo-proxy.ts";
import type { Random } from "../../test/support/random.ts";
import type { TcpProxy } from "../../test/support/tcp-proxy.ts";
import type { CommandResult } from "../headrace-process.ts";
import type { ServerUrls } from "../stack/server-urls.ts";
import type { Stack } from "../stack/types.ts";
import type { Fleet } from "./fleet.ts";
import type { Writing } from "./writing.ts";

/** What a fault can use. The clients connect to the servers directly, not through the proxies. */
export interface TortureContext {
  readonly fleet: Fleet;
  readonly writing: Writing;
  /** Between the processes and each server. */
  readonly proxies: {
    readonly mongodbUri: MongoProxy;
    readonly kafkaBrokers: KafkaProxy;
    readonly schemaRegistryUrl: TcpProxy;
    readonly postgresUrl: TcpProxy;
  };
  readonly restarts: Stack["restarts"];
  readonly mongodb: MongoClient;
  /** Its search path is the pipeline's schema. */
  readonly postgres: Pool;
  /** The user of Headrace's processes. Has the name of the pipeline. */
  readonly postgresUser: string;
  /** The tables of the collections. `number` is an SQL expression for the number that every write changes. */
  readonly tables: readonly { readonly name: string; readonly number: string }[];
  /** Runs `headrace …` on the pipeline's config to its end. */
  readonly run: (...args: string[]) => Promise<CommandResult>;
  /** Changes the config, for the processes and commands that start from now on. No change: the first config. */
  readonly configure: (change?: (first: TortureConfig) => object) => Promise<void>;
  /** Connects to Kafka directly. */
  readonly kafka: Kafka;
}

/** The parts of the config that faults change. */
export interface TortureConfig {
  readonly name: string;
  readonly kafka: object;
  readonly collections: Readonly<Record<string, object>>;
}

/** What a fault disturbs. Two faults that share a part never run at the same time. */
export type Part = "producer" | "consumer" | "deadLetters" | keyof ServerUrls;

export interface Fault {
  readonly kind: string;
  readonly touches: readonly Part[];
  /** Injects the fault, waits for a short random time and heals it, even if it throws. */
  readonly inject: (context: TortureContext, random: Random) => Promise<void>;
}
