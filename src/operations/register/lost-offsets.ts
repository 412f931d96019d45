import type { Kafka } from "kafkajs";
import { historyLost, lostRecords } from "../../consumers/batches/log-bounds.ts";
import type { PostgresClient } from "../../consumers/postgres/client.ts";
import { RECORDS_LOST } from "../../consumers/register/admission.ts";
import type { Decision } from "../../consumers/register/decide.ts";
import { HeadraceError } from "../../errors/error.ts";
import { confirmed } from "../../kafka/topic-ids.ts";
import type { TopicIds } from "../../kafka/topic-ids.ts";
import { fetchLogBounds } from "../../kafka/topics.ts";
import type { PartitionBounds } from "../../kafka/topics.ts";
import { readProgress } from "./stored-progress.ts";

/**
 * What the consumer does, when it starts, about topics whose logs do not reach back to where it stands, by topic. A running
 * one moves on between our two questions, so a finding counts only when it lasts.
 * @param ids of topics that exist
 * @throws HeadraceError
 */
export function judgeOffsets(
  { kafka, postgres }: { readonly kafka: Kafka; readonly postgres: PostgresClient },
  ids: TopicIds,
  onRecordsLost: "fail" | "resnapshot",
): Promise<ReadonlyMap<string, Decision>> {
  const look = async (): Promise<ReadonlyMap<string, Decision>> => {
    if (ids.size === 0) return new Map();
    const progress = await readProgress(postgres);
    const found = new Map<string, Decision>();
    for (const [key, bounds] of await fetchLogBounds(kafka, [...ids.keys()])) {
      const topicId = ids.get(bounds.topic) ?? null;
      const decision = judge(bounds, { offset: progress.get(key) ?? 0n, topicId }, onRecordsLost);
      if (decision !== null && found.get(bounds.topic)?.kind !== "refuse") found.set(bounds.topic, decision);
    }
    return found;
  };
  return confirmed(look, (found) => found.size > 0);
}

function judge(
  bounds: PartitionBounds,
  { offset, topicId }: { readonly offset: bigint; readonly topicId: string | null },
  onRecordsLost: "fail" | "resnapshot",
): Decision | null {
  try {
    const lost = lostRecords(bounds, offset, bounds, topicId);
    if (lost === null) return null;
    return onRecordsLost === "fail"
      ? { kind: "refuse", error: historyLost(lost) }
      : { kind: "copy", why: RECORDS_LOST };
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    return { kind: "refuse", error };
  }
}
