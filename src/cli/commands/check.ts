import { Command } from "commander";
import type { Config } from "../../config/config-schema.ts";
import type { CheckResult } from "../../operations/checks/check-result.ts";
import { ALL_SERVERS, runChecks } from "../../operations/checks/run-checks.ts";
import { serverNames } from "../../operations/connections.ts";
import { EXIT_DONE, EXIT_FATAL } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";

export function checkCommand(): Command {
  const command = new Command("check").description(
    "Connect to all four servers and list every problem. Changes nothing.",
  );
  return onConfig(command, "question", async ({ config, logger }) => {
    const results = await runChecks(config, ALL_SERVERS, logger);
    process.stdout.write(report(config, results));
    return results.some(({ problem }) => problem !== null) ? EXIT_FATAL : EXIT_DONE;
  });
}

function report(config: Config, results: readonly CheckResult[]): string {
  const names = serverNames(config);
  const lines: string[] = [];
  let server: string | undefined;
  for (const { server: kind, what, problem } of results) {
    if (names[kind] !== server) lines.push(names[kind]);
    server = names[kind];
    lines.push(`  ${problem === null ? "✓" : "✗"} ${what}`);
    if (problem !== null) lines.push(`      ${problem.code}: ${problem.message}`, `      → ${problem.remedy}`);
  }
  const wrong = results.filter(({ problem }) => problem !== null).length;
  lines.push("", wrong === 0 ? "All checks passed." : `${wrong} of ${results.length} checks failed.`);
  return `${lines.join("\n")}\n`;
}
