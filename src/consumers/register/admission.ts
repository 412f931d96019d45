import type { Logger } from "../../runtime/logger.ts";
import type { TableAdmission } from "../ports.ts";
import { decide } from "./decide.ts";
import type { Decision } from "./decide.ts";
import type { TableFacts, WantedTable } from "./facts.ts";

/** Kafka's ids of the topics that exist: see `TopicFacts`. */
type TopicIds = ReadonlyMap<string, string | null>;

/** The register of tables, `headrace.tables`. Every method throws classified HeadraceErrors. */
export interface Register {
  look(wanted: readonly WantedTable[]): Promise<readonly TableFacts[]>;
  /**
   * Looks under the register's lock, lets `work` decide, and stores what it returns, in one transaction. Other members of
   * the group wait.
   */
  change(
    wanted: readonly WantedTable[],
    work: (facts: readonly TableFacts[]) => Promise<readonly RegisterChange[]>,
  ): Promise<void>;
  /** The topics from which a pipeline fills tables. */
  topicsOf(pipeline: string): Promise<readonly string[]>;
}

/** What becomes of a table in the register. */
export interface RegisterChange {
  readonly wanted: WantedTable;
  readonly facts: TableFacts;
  readonly topicId: string | null;
  readonly decision: Exclude<Decision, { kind: "same" | "wait" | "refuse" }>;
  /** Offset of the signal that asks for the copy, where the decision needs one. */
  readonly copySignal: bigint | null;
}

export interface AdmissionOptions {
  /** The pipeline's name. */
  readonly pipeline: string;
  readonly register: Register;
  /** The tables of those of the topics that the pipeline replicates, and those of the config. */
  readonly wantedTables: (topics: readonly string[]) => readonly WantedTable[];
  /** Asks the producer to copy a collection, with a sweep at the end. @returns the offset of the signal */
  readonly requestCopy: (collection: string) => Promise<bigint>;
  /** Asks Kafka again for some seconds while `looksLost`. */
  readonly topicIds: (topics: readonly string[], looksLost: (ids: TopicIds) => boolean) => Promise<TopicIds>;
  readonly signalsEnd: () => Promise<bigint>;
  /** `kafka.onHistoryLost` */
  readonly onRecordsLost: "fail" | "resnapshot";
  readonly logger: Logger;
}

/** A table and what is decided about it. */
export interface Decided {
  readonly wanted: WantedTable;
  readonly facts: TableFacts;
  /** As in `TopicFacts`. */
  readonly topicId: string | null | undefined;
  readonly decision: Decision;
}

/** Lets a consumer write to tables only where what is stored about them still belongs to them. */
export class Admission implements TableAdmission {
  readonly #options: AdmissionOptions;
  #topics: readonly string[] = [];
  readonly #waitingFor = new Set<string>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async admit(topics: readonly string[]): Promise<void> {
    this.#topics = topics;
    await this.again();
  }

  async again(): Promise<void> {
    const { pipeline, register, wantedTables } = this.#options;
    const wanted = wantedTables([...this.#topics, ...(await register.topicsOf(pipeline))]);
    if (wanted.length === 0) return;
    const decided = await decideAll(wanted, await register.look(wanted), this.#options);
    this.#announce(decided);
    if (decided.every(({ decision }) => decision.kind === "same" || decision.kind === "wait")) return;
    await register.change(wanted, async (facts) => this.#settle(await decideAll(wanted, facts, this.#options)));
  }

  /** Lets the collection of a topic be copied again: its tables are not complete until then. */
  async copyAgain(topic: string): Promise<void> {
    const { register, wantedTables, requestCopy, topicIds } = this.#options;
    const wanted = wantedTables([topic]).filter((table) => table.topic === topic);
    const topicId = (await topicIds([topic], () => false)).get(topic) ?? null;
    await register.change(wanted, async (found) => {
      const changes: RegisterChange[] = [];
      for (const [index, table] of wanted.entries()) {
        const facts = found[index] as TableFacts;
        const copySignal = await requestCopy(table.collection);
        changes.push({ wanted: table, facts, topicId, decision: { kind: "copy", why: RECORDS_LOST }, copySignal });
      }
      return changes;
    });
  }

  async #settle(decided: readonly Decided[]): Promise<readonly RegisterChange[]> {
    const changes: RegisterChange[] = [];
    for (const { wanted, facts, topicId, decision } of decided) {
      if (decision.kind === "same" || decision.kind === "wait" || decision.kind === "refuse") continue;
      const needsCopy = decision.kind === "copy" || decision.kind === "reread";
      const copySignal = needsCopy
        ? await this.#options.requestCopy(wanted.collection)
        : (facts.registered?.copySignal ?? null);
      changes.push({ wanted, facts, decision, copySignal, topicId: topicId ?? null });
      if (needsCopy) this.#tellCopy(wanted, facts, decision.why);
    }
    return changes;
  }

  #tellCopy({ collection, topic }: WantedTable, { relation, otherRelations }: TableFacts, why: string): void {
    const left = otherRelations.length === 0 ? {} : { left: otherRelations };
    const fate = otherRelations.length === 0 ? "" : "; the old table stays as it is, and is no longer updated";
    this.#options.logger.warn(
      { collection, topic, table: relation, ...left },
      `${why}: the collection is copied into the table again${fate}`,
    );
  }

  /** @throws the first refusal */
  #announce(decided: readonly Decided[]): void {
    for (const { wanted, decision } of decided) {
      if (decision.kind === "refuse") throw decision.error;
      if (decision.kind !== "wait") this.#waitingFor.delete(wanted.topic);
      else if (!this.#waitingFor.has(wanted.topic)) {
        this.#waitingFor.add(wanted.topic);
        this.#options.logger.warn(
          { topic: wanted.topic },
          `${decision.why}; waiting for the producer to create it again`,
        );
      }
    }
  }
}

/**
 * Decides about tables with what the register shows of them, and with Kafka's ids of their topics. Only reads.
 * @param found in the order of `wanted`
 */
export async function decideAll(
  wanted: readonly WantedTable[],
  found: readonly TableFacts[],
  { topicIds, signalsEnd, onRecordsLost }: Pick<AdmissionOptions, "topicIds" | "signalsEnd" | "onRecordsLost">,
): Promise<readonly Decided[]> {
  const isAsked = found.some(({ registered }) => registered !== null && registered.copySignal !== null);
  const end = isAsked ? await signalsEnd() : 0n;
  const decideWith = (ids: TopicIds): readonly Decided[] =>
    found.map((facts, index) => {
      const table = wanted[index] as WantedTable;
      const topicId = ids.get(table.topic);
      const decision = decide(table, facts, { topicId, signalsEnd: end }, onRecordsLost);
      return { wanted: table, facts, topicId, decision };
    });
  const topics = wanted.map(({ topic }) => topic);
  return decideWith(await topicIds(topics, (ids) => decideWith(ids).some(isTopicLost)));
}

export const RECORDS_LOST = "Kafka deleted records before they were applied";

/** Whether the decision is about a topic that is gone or another one. */
export function isTopicLost({ decision }: Pick<Decided, "decision">): boolean {
  if (decision.kind === "refuse") return LOST_TOPIC.has(decision.error.code);
  return decision.kind === "reread" || decision.kind === "wait";
}

const LOST_TOPIC: ReadonlySet<string> = new Set(["TOPIC_DELETED", "TOPIC_RECREATED"]);
