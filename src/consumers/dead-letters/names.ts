import { originKey } from "../ports.ts";
import type { DeadLetterOrigin } from "../ports.ts";

/** Kafka's present ids of those of the topics that exist; null where the brokers give none. */
export type PresentTopicIds = (topics: readonly string[]) => Promise<ReadonlyMap<string, string | null>>;

/** Tells an earlier incarnation of a topic apart: so many digits of its id in Kafka. */
const ID_DIGITS = 8;
/** Stands for the id in dead letters of version 0.1.0, which do not tell it. */
const UNTOLD = "old";

/**
 * How users name dead letters: `topic/partition/offset`; of an earlier incarnation of the topic with `@` and the first
 * digits of its id behind it.
 * @param origins all that are known of these topics, partitions and offsets: of two with one name, one gets another
 */
export async function namesOf(
  origins: Iterable<DeadLetterOrigin>,
  presentTopicIds: PresentTopicIds,
): Promise<(origin: DeadLetterOrigin) => string> {
  const told = [...origins].filter(({ topicId }) => typeof topicId === "string");
  if (told.length === 0) return originKey;
  const present = await presentTopicIds([...new Set(told.map(({ topic }) => topic))]);
  const isPresent = ({ topic, topicId }: DeadLetterOrigin): boolean => present.get(topic) === topicId;
  const taken = new Set(told.filter(isPresent).map(originKey));
  return (origin) => {
    const plain = originKey(origin);
    if (typeof origin.topicId !== "string") return taken.has(plain) ? `${plain}@${UNTOLD}` : plain;
    return isPresent(origin) ? plain : `${plain}@${origin.topicId.slice(0, ID_DIGITS)}`;
  };
}

/** The `topic/partition/offset` of a name. No topic's name has an `@`. */
export function originKeyOf(name: string): string {
  return name.replace(/@.*$/, "");
}
