// The one table of what the pipeline's topics must be like: Headrace creates them so, and `check` and every start compare.
import { HeadraceError } from "../../errors/error.ts";
import { deadLetterTopic, positionsTopic, signalsTopic } from "../../schemas/topics.ts";

export interface TopicSettings {
  /** Of each collection's topic. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Of records and signals. -1: Kafka deletes nothing. */
  readonly retentionMs: number;
  readonly deadLetterRetentionMs: number;
}

export interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly settings: readonly WantedSetting[];
}

export interface WantedSetting {
  /** As Kafka names it. */
  readonly name: string;
  /** What Headrace creates the topic with. */
  readonly value: string;
  /** What another value does; null where it does no harm. Without it every value is right. */
  readonly judge?: ((found: string) => Harm | null) | undefined;
}

interface Harm {
  /** Whether records would be lost, or could not be read. Else the pipeline runs, and something works less well. */
  readonly isFatal: boolean;
  readonly why: string;
}

/** A setting of an existing topic that is not as it should be. */
export interface WrongSetting extends Harm {
  readonly topic: string;
  readonly name: string;
  readonly found: string;
  readonly wanted: string;
}

/** A document of 16 MB in BSON can be longer as JSON. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/** Of a position: it names every collection. */
const MAX_POSITION_BYTES = 8 * 1024 * 1024;
const HOUR_MS = 60 * 60 * 1_000;
const SIGNAL_RETENTION_MS = 30 * 24 * HOUR_MS;

/** The topics that every pipeline has. */
export function internalTopics(
  name: string,
  { retentionMs, deadLetterRetentionMs }: Pick<TopicSettings, "retentionMs" | "deadLetterRetentionMs">,
): WantedTopic[] {
  // Signals wait while the producer is stopped, and a restarted producer reads the unfinished signal again.
  const signalRetentionMs = retentionMs === -1 ? -1 : Math.max(retentionMs, SIGNAL_RETENTION_MS);
  return [
    {
      topic: positionsTopic(name),
      partitions: 1,
      settings: [
        {
          name: "cleanup.policy",
          value: "compact",
          judge: (found) =>
            found === "compact"
              ? null
              : fatal("Kafka would delete the position of a stopped producer, which then copies everything again"),
        },
        // Readers need only the last position, and the markers of the last minute, which show a second producer.
        { name: "segment.bytes", value: String(16 * 1024 * 1024) },
        { name: "segment.ms", value: String(HOUR_MS) },
        { name: "min.cleanable.dirty.ratio", value: "0.1" },
        { name: "min.compaction.lag.ms", value: "60000" },
        atLeast("max.message.bytes", MAX_POSITION_BYTES, "a pipeline of many collections stops at a larger position"),
        COMPRESSION,
      ],
    },
    {
      topic: deadLetterTopic(name),
      partitions: 1,
      settings: [
        notCompacted("Kafka would delete dead letters that have the same key as a later one"),
        retention(deadLetterRetentionMs, "deadLetters.retentionMs"),
        KEEPS_ANY_SIZE,
        atLeast("max.message.bytes", MAX_MESSAGE_BYTES, "the pipeline stops at a larger dead letter"),
        COMPRESSION,
      ],
    },
    {
      topic: signalsTopic(name),
      partitions: 1,
      settings: [
        notCompacted("Kafka would refuse signals, which have no key"),
        retention(signalRetentionMs),
        KEEPS_ANY_SIZE,
        atLeast("max.message.bytes", MAX_MESSAGE_BYTES, "Kafka refuses a larger signal"),
        COMPRESSION,
      ],
    },
  ];
}

/** The topic of a collection. */
export function collectionTopic(
  topic: string,
  { partitions, retentionMs }: Pick<TopicSettings, "partitions" | "retentionMs">,
): WantedTopic {
  return {
    topic,
    partitions,
    settings: [
      { name: "cleanup.policy", value: "delete" },
      retention(retentionMs),
      atLeast("max.message.bytes", MAX_MESSAGE_BYTES, "larger documents become dead letters"),
      COMPRESSION,
    ],
  };
}

/** Compares a topic with what the table wants. @param found the topic's settings, by name */
export function wrongSettings({ topic, settings }: WantedTopic, found: ReadonlyMap<string, string>): WrongSetting[] {
  return settings.flatMap(({ name, value, judge }) => {
    const foundValue = found.get(name);
    const harm = foundValue === undefined || foundValue === value ? null : (judge?.(foundValue) ?? null);
    return harm === null || foundValue === undefined
      ? []
      : [{ topic, name, found: foundValue, wanted: value, ...harm }];
  });
}

/** The setting that a start sets again where it can: it comes from the config, which may have changed. */
export const RETENTION = "retention.ms";

/** `The topic shop.dlq has retention.ms=1, not 2: why.` */
export function describeSettings(wrong: readonly WrongSetting[]): string {
  return wrong
    .map(({ topic, name, found, wanted, why }) => `The topic ${topic} has ${name}=${found}, not ${wanted}: ${why}.`)
    .join(" ");
}

/** The commands of Kafka's own tool that set what is wrong, one for each topic. @param brokers `host:port` each */
export function settingsRemedy(
  wrong: readonly Pick<WrongSetting, "topic" | "name" | "wanted">[],
  brokers: readonly string[],
): string {
  const byTopic = Map.groupBy(wrong, ({ topic }) => topic);
  const commands = [...byTopic].map(([topic, settings]) => {
    const added = settings.map(({ name, wanted }) => `${name}=${wanted}`).join(",");
    return `kafka-configs.sh --bootstrap-server ${brokers.join(",")} --alter --entity-type topics --entity-name ${topic} --add-config ${added}`;
  });
  return `Run: ${commands.join("; ")}`;
}

export function wrongTopicSettings(wrong: readonly WrongSetting[], brokers: readonly string[]): HeadraceError {
  return new HeadraceError("TOPIC_SETTINGS", {
    message: describeSettings(wrong),
    remedy: settingsRemedy(wrong, brokers),
  });
}

/** @param setting where the config says it */
function retention(ms: number, setting = "kafka.retentionMs"): WantedSetting {
  return {
    name: RETENTION,
    value: String(ms),
    judge: () => ({ isFatal: false, why: `somebody has set it, or ${setting} has changed` }),
  };
}

function atLeast(name: string, least: number, why: string): WantedSetting {
  return {
    name,
    value: String(least),
    judge: (found) => (Number(found) >= least ? null : { isFatal: false, why }),
  };
}

function notCompacted(why: string): WantedSetting {
  return { name: "cleanup.policy", value: "delete", judge: (found) => (found.includes("compact") ? fatal(why) : null) };
}

/** The broker's default may have a limit. */
const KEEPS_ANY_SIZE: WantedSetting = {
  name: "retention.bytes",
  value: "-1",
  judge: () => ({ isFatal: false, why: "Kafka deletes records before their time" }),
};

/** kafkajs cannot read these; the broker compresses every record with what the topic names. */
const UNREADABLE: ReadonlySet<string> = new Set(["lz4", "snappy"]);

const COMPRESSION: WantedSetting = {
  name: "compression.type",
  value: "producer",
  judge: (found) =>
    UNREADABLE.has(found)
      ? fatal("Headrace cannot read records that the broker has compressed so")
      : { isFatal: false, why: "the broker compresses every batch again" },
};

function fatal(why: string): Harm {
  return { isFatal: true, why };
}
