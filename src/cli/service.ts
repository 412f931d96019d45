import { errorCode } from "../errors/error.ts";
import { explainForbidden, rolesOf } from "../operations/checks/kafka-rights.ts";
import { requireServers } from "../operations/checks/run-checks.ts";
import type { ServerKind } from "../operations/connections.ts";
import { tableOf } from "../operations/tables.ts";
import { startHttpServer } from "../runtime/http-server.ts";
import type { HttpServer } from "../runtime/http-server.ts";
import { createMetrics } from "../runtime/metrics.ts";
import type { Metrics } from "../runtime/metrics.ts";
import { retriesChannel } from "../runtime/retry.ts";
import type { RetryMessage } from "../runtime/retry.ts";
import { versionToMs } from "../schemas/change-event.ts";
import { topicOf } from "../schemas/topics.ts";
import type { CommandContext } from "./command-context.ts";
import { Activity } from "./output/activity.ts";
import { showActivity } from "./output/live-line.ts";

/**
 * Runs the work of produce, consume or run, with what they have in common: the HTTP server, the live line, and the checks
 * at the start.
 * @param servers the servers that the work needs
 * @throws HeadraceError if a check fails, and what the work throws
 */
export async function runService(
  context: CommandContext,
  servers: readonly ServerKind[],
  work: (activity: Activity) => Promise<void>,
): Promise<void> {
  const { config, logger, signal, liveLine } = context;
  const metrics = createMetrics();
  const activity = new Activity({
    metrics,
    logger,
    tableOf: (topic) => tableOf(config, topic)?.table ?? topic,
    tableOfCollection: (collection) =>
      tableOf(config, topicOf(config.name, config.mongodb.database, collection))?.table ?? collection,
  });
  const countRetry = (message: unknown) => metrics.retries.inc({ code: codeOf(message as RetryMessage) });
  retriesChannel.subscribe(countRetry);
  let isReady = false;
  const server = await startHttp(context, { metrics, activity, isReady: () => isReady });
  const hide = liveLine === null ? () => {} : showActivity(liveLine, activity);
  try {
    await requireServers(config, servers, { logger, signal });
    isReady = true;
    await work(activity);
  } catch (error) {
    throw await explainForbidden(error, config, { roles: rolesOf(servers), logger });
  } finally {
    retriesChannel.unsubscribe(countRetry);
    hide();
    await server?.close();
  }
}

function codeOf({ error }: RetryMessage): string {
  return errorCode(error) ?? "UNKNOWN";
}

interface HttpContext {
  readonly metrics: Metrics;
  readonly activity: Activity;
  readonly isReady: () => boolean;
}

async function startHttp(
  { config: { name, http }, logger }: CommandContext,
  { metrics, activity, isReady }: HttpContext,
): Promise<HttpServer | null> {
  if (http === undefined) return null;
  const status = async () => ({ name, ready: isReady(), ...activityJson(activity) });
  const server = await startHttpServer({ ...http, metrics, isReady, status, logger });
  logger.info({ host: http.host, port: server.port }, "serving metrics and health");
  return server;
}

function activityJson({ published, applied, deadLetters, lag, position, oplogWindowMs }: Activity): object {
  return {
    published,
    applied,
    deadLetters,
    lag: Number(lag),
    oplogWindowMs,
    position:
      position === null
        ? null
        : {
            clusterTime: String(position.clusterTime),
            time: new Date(versionToMs(position.clusterTime)).toISOString(),
            snapshots: Object.fromEntries([...position.snapshots].map(([name, { state }]) => [name, state])),
            leftOut: Object.fromEntries(position.leftOut ?? []),
          },
  };
}
