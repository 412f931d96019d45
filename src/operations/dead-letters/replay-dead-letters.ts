import type { DeadLetterFilter } from "../../consumers/dead-letters/queries.ts";
import { replayDeadLetters } from "../../consumers/dead-letters/replay.ts";
import type { ReplayCounts } from "../../consumers/dead-letters/replay.ts";
import { createKafkaDeadLetterWriter } from "../../consumers/dead-letters/topic.ts";
import { PATIENCE, taskId } from "../../consumers/run-consumer.ts";
import { decodeRecord } from "../../schemas/decoding/record-decoder.ts";
import { deadLetterTopic } from "../../schemas/topics.ts";
import type { Context } from "../context.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";
import { SnapshotReplays } from "./replay-documents.ts";
import type { SnapshotReplay } from "./replay-documents.ts";

/**
 * How many dead letters had which result. Only those that were replayed or superseded are closed. `headrace dlq replay
 * --json` prints this shape, so it must not change.
 */
export type ReplayResults = ReplayCounts & SnapshotReplay;

/**
 * Replays the open dead letters that match: applies their records, and has a running producer read documents again that
 * it could not encode or send.
 * @throws HeadraceError
 */
export async function replayAndReread(
  context: Context,
  access: DeadLetterAccess,
  filter: DeadLetterFilter,
): Promise<ReplayResults> {
  const { config, logger, signal } = context;
  const { name } = config;
  const snapshots = new SnapshotReplays(context, access);
  const target = { kafka: access.kafka, topic: deadLetterTopic(name) };
  const writer = createKafkaDeadLetterWriter({ ...target, pipeline: name, taskId: taskId() });
  try {
    const counts = await replayDeadLetters({
      ...access,
      decode: ({ key, value }) => decodeRecord(access.registry, key, value),
      writer,
      filter,
      patience: PATIENCE,
      logger,
      onResult: async (letter, result, record) => {
        if (result === "needsSnapshot") await snapshots.add(letter, record);
      },
      signal,
    });
    return withSnapshots(counts, await snapshots.run());
  } finally {
    await writer.close();
  }
}

function withSnapshots(counts: ReplayCounts, snapshots: SnapshotReplay): ReplayResults {
  const { replayed, failed } = counts;
  return { ...counts, ...snapshots, replayed: replayed + snapshots.replayed, failed: failed + snapshots.failed };
}
