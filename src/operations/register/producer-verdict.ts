import type { Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { otherCollection, replicationOf, takesOthers } from "../../config/replication.ts";
import { HeadraceError } from "../../errors/error.ts";
import { listTopics } from "../../kafka/topics.ts";
import { findLosses, refusalOf } from "../../producers/kafka/losses.ts";
import type { Position } from "../../schemas/change-event.ts";
import { mappingFingerprint } from "../../schemas/mapping/fingerprint.ts";
import { replicaOf } from "../tables.ts";

/** What a start of the producer would do about what the pipeline has in Kafka. */
export type ProducerVerdict =
  /** Nothing is lost. */
  | { readonly kind: "same" }
  /** It copies collections again, because `kafka.onHistoryLost` says so. */
  | { readonly kind: "copy"; readonly why: string; readonly what: string }
  | { readonly kind: "refuse"; readonly error: HeadraceError };

export interface JudgeProducerOptions {
  readonly kafka: Kafka;
  readonly position: () => Promise<Position | null>;
  /**
   * Of those that the config does not name: those to judge besides those that have a topic. Of the others, the consumer's
   * register knows which had one.
   */
  readonly collections?: readonly string[] | undefined;
}

/** Judges the pipeline's topics as a start of its producer would. Only reads. @throws HeadraceError */
export async function judgeProducer(config: Config, options: JudgeProducerOptions): Promise<ProducerVerdict> {
  const { name, mongodb, collections, kafka: settings, snapshot } = config;
  const { kafka, position } = options;
  const named = [...(collections?.keys() ?? [])];
  const others = takesOthers(config) ? [...(options.collections ?? []), ...(await withTopic(config, kafka))] : [];
  const names = [...named, ...others];
  const mappingOf = (collection: string): string =>
    mappingFingerprint((replicationOf(config, collection) ?? otherCollection(config, collection)).mapping);
  try {
    const { database } = mongodb;
    const losses = await findLosses({ kafka, name, database, collections: [...new Set(names)], mappingOf, position });
    const refusal = refusalOf(losses);
    if (refusal === null) return { kind: "same" };
    if (settings.onHistoryLost === "fail") return { kind: "refuse", error: refusal };
    const what =
      snapshot.mode === "never"
        ? "copies nothing again, because snapshot.mode is never"
        : losses.signals === null
          ? "copies their collections again"
          : "copies all collections again";
    return { kind: "copy", why: refusal.message, what };
  } catch (error) {
    if (error instanceof HeadraceError && error.code === "POSITION_OF_OTHER_DATABASE") return { kind: "refuse", error };
    throw error;
  }
}

/** Says a verdict; null if there is nothing to say. */
export function producerProblem(verdict: ProducerVerdict): string | null {
  if (verdict.kind === "same") return null;
  if (verdict.kind === "copy") return `its next start ${verdict.what}: ${verdict.why}`;
  const { code, message, remedy } = verdict.error;
  return `it does not start: ${code}: ${message} ${remedy}`;
}

/** The collections of the pipeline that have a topic. */
async function withTopic(config: Config, kafka: Kafka): Promise<readonly string[]> {
  const topics = await listTopics(kafka, (topic) => replicaOf(config, topic) !== undefined);
  return topics.flatMap((topic) => replicaOf(config, topic)?.collection ?? []);
}
