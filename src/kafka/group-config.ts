import kafkajs from "kafkajs";
import type { Kafka, PartitionAssigner } from "kafkajs";
import { HeadraceError } from "../errors/error.ts";
import type { Logger } from "../runtime/logger.ts";
import { pause } from "../runtime/waiting.ts";
import { withAdmin } from "./admin.ts";

// Node finds only some of kafkajs's exports by name.
const { AssignerProtocol, PartitionAssigners } = kafkajs;

/**
 * What a member tells the others of its group. Members share the partitions of all topics: one with another config would
 * write its part into other tables, or not at all.
 */
export interface MemberConfig {
  /** The same for members that write the same topics into the same tables. */
  readonly fingerprint: string;
  /** ms since 1970. Of two members with different configs the younger one stops. */
  readonly startedAtMs: number;
}

const POLL_MS = 1_000;
/** How much longer than a session lasts: a member that was killed is gone by then. */
const MARGIN_MS = 5_000;

/** kafkajs's own assigner, which also sends the member's config. Members of version 0.1.0 send none. */
export function assignerWith(config: MemberConfig): PartitionAssigner {
  const userData = Buffer.from(JSON.stringify(config));
  return (context) => {
    const assigner = PartitionAssigners.roundRobin(context);
    return {
      ...assigner,
      protocol: ({ topics }) => ({
        name: assigner.name,
        metadata: AssignerProtocol.MemberMetadata.encode({ version: assigner.version, topics, userData }),
      }),
    };
  };
}

export interface GroupConfigOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly config: MemberConfig;
  readonly sessionTimeoutMs: number;
  readonly logger: Logger;
}

/**
 * Waits until no member of the group has another config: during a restart the old processes may still be leaving.
 * @throws HeadraceError CONSUMER_CONFIG_DIFFERS if they stay
 */
export async function waitForSameConfig(options: GroupConfigOptions, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + options.sessionTimeoutMs + MARGIN_MS;
  for (let isTold = false; ; isTold = true) {
    const other = await findOtherConfig(options, () => true);
    if (other === null) return;
    if (performance.now() > deadline) throw configDiffers(options.groupId, other);
    if (!isTold)
      options.logger.warn({ member: other }, "a consumer with another config is running; waiting for its end");
    await pause(POLL_MS, signal);
  }
}

/** For a member that has joined. @throws HeadraceError CONSUMER_CONFIG_DIFFERS if an older member has another config */
export async function refuseOtherConfig(options: GroupConfigOptions): Promise<void> {
  const other = await findOtherConfig(options, ({ startedAtMs }) => startedAtMs < options.config.startedAtMs);
  if (other !== null) throw configDiffers(options.groupId, other);
}

/** The client and host of a member with another config; null if there is none. */
async function findOtherConfig(
  { kafka, groupId, config }: GroupConfigOptions,
  counts: (other: MemberConfig) => boolean,
): Promise<string | null> {
  const { groups } = await withAdmin(kafka, "describing the consumer group", (admin) =>
    admin.describeGroups([groupId]),
  );
  for (const { clientId, clientHost, memberMetadata } of groups.flatMap(({ members }) => members)) {
    const other = configOf(memberMetadata);
    if (other !== null && other.fingerprint !== config.fingerprint && counts(other))
      return `${clientId} at ${clientHost}`;
  }
  return null;
}

/**
 * Null for a member of version 0.1.0, and while the group is being rebalanced: then Kafka does not show it. Another program
 * counts as an older consumer with another config: its partitions would not be applied.
 */
function configOf(memberMetadata: Buffer): MemberConfig | null {
  if (memberMetadata.length === 0) return null;
  const { userData } = AssignerProtocol.MemberMetadata.decode(memberMetadata) ?? {};
  if (userData === undefined || userData.length === 0) return null;
  try {
    return JSON.parse(userData.toString()) as MemberConfig;
  } catch (error) {
    if (error instanceof SyntaxError) return { fingerprint: "", startedAtMs: 0 };
    throw error;
  }
}

function configDiffers(groupId: string, other: string): HeadraceError {
  return new HeadraceError("CONSUMER_CONFIG_DIFFERS", {
    message: `Another consumer of this pipeline (group ${groupId}, client ${other}) has a different config: other collections, tables, database or PostgreSQL.`,
  });
}
