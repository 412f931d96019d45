import { Command, Option } from "commander";
import type { Config } from "../../config/config-schema.ts";
import { checkLosses } from "../../operations/checks/check-losses.ts";
import { checkMappings } from "../../operations/checks/check-mappings.ts";
import type { CheckResult } from "../../operations/checks/check-result.ts";
import { rolesOf } from "../../operations/checks/kafka-rights.ts";
import { ALL_SERVERS, CONSUMER_SERVERS, PRODUCER_SERVERS, runChecks } from "../../operations/checks/run-checks.ts";
import { serverNames } from "../../operations/connections.ts";
import type { ServerKind } from "../../operations/connections.ts";
import { EXIT_DONE, EXIT_FATAL } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";

/** What each role needs. Each may have users of its own. */
const SERVERS = { producer: PRODUCER_SERVERS, consumer: CONSUMER_SERVERS } as const;

export function checkCommand(): Command {
  const role = new Option("--for <role>", "check only what this role needs, with its servers and rights");
  const command = new Command("check")
    .description("Connect to all four servers and list every problem. Changes nothing.")
    .addOption(role.choices(Object.keys(SERVERS)));
  return onConfig(command, "question", async (context) => {
    const { config, logger } = context;
    const { for: only } = command.opts<{ for?: keyof typeof SERVERS }>();
    const servers = only === undefined ? ALL_SERVERS : SERVERS[only];
    const checked = await runChecks(config, servers, logger);
    const isAllowed = checked.every(({ problem }) => problem?.code !== "KAFKA_FORBIDDEN");
    const answers = (kind: ServerKind) => checked.some(({ server, problem }) => server === kind && problem === null);
    const roles = rolesOf(servers).filter((role) => answers(role === "producer" ? "mongodb" : "postgres"));
    const pipeline = answers("kafka") && isAllowed;
    const more = pipeline ? [await checkMappings(config, logger), ...(await checkLosses(context, roles))] : [];
    const results = inOrder([...checked, ...more]);
    process.stdout.write(report(config, results));
    return results.some(({ problem }) => problem !== null) ? EXIT_FATAL : EXIT_DONE;
  });
}

/** In the order in which data passes the servers. */
function inOrder(results: readonly CheckResult[]): readonly CheckResult[] {
  return results.toSorted((a, b) => ALL_SERVERS.indexOf(a.server) - ALL_SERVERS.indexOf(b.server));
}

function report(config: Config, results: readonly CheckResult[]): string {
  const names = serverNames(config);
  const lines: string[] = [];
  let server: string | undefined;
  for (const { server: kind, what, problem, warning, notes = [] } of results) {
    if (names[kind] !== server) lines.push(names[kind]);
    server = names[kind];
    lines.push(`  ${problem !== null ? "✗" : warning !== null ? "!" : "✓"} ${what}`);
    lines.push(...notes.map((note) => `      ${note}`));
    if (problem !== null) lines.push(`      ${problem.code}: ${problem.message}`, `      → ${problem.remedy}`);
    if (warning !== null) lines.push(`      ${warning.message}`, `      → ${warning.remedy}`);
  }
  lines.push("", summary(results));
  return `${lines.join("\n")}\n`;
}

function summary(results: readonly CheckResult[]): string {
  const failed = results.filter(({ problem }) => problem !== null).length;
  const warnings = results.filter(({ warning }) => warning !== null).length;
  const counted = warnings === 0 ? "" : ` ${warnings} with a warning (!).`;
  return failed === 0 ? `All checks passed.${counted}` : `${failed} of ${results.length} checks failed.${counted}`;
}
