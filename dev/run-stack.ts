// npm run stack: starts the servers, writes their addresses to a file and stays in the foreground until Ctrl-C.
import { once } from "node:events";
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { claimEnvFile, writeEnvFile } from "./env-file.ts";
import { serverEnvironment, serverVariables } from "./stack/server-urls.ts";
import { startStack } from "./stack/stack.ts";
import type { Stack } from "./stack/types.ts";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());

try {
  const { values } = parseArgs({ options: { "write-env": { type: "string", default: ".stack.env" } } });
  await run(values["write-env"]);
} catch (error) {
  if (!interrupted.signal.aborted) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function run(envFile: string): Promise<void> {
  claimEnvFile(envFile);
  const stack = await startStack({ signal: interrupted.signal, report: (line) => console.log(line) });
  try {
    writeEnvFile(envFile, stack);
    console.log(`\nThe servers are up. Their addresses are also in ${envFile}:\n`);
    for (const [variable, value] of Object.entries(serverEnvironment(stack))) console.log(`  ${variable}=${value}`);
    console.log(`\nIn another shell:  set -a; . ${envFile.includes("/") ? "" : "./"}${envFile}; set +a`);
    console.log(whatEnds(stack, envFile));
    const keepAlive = setInterval(() => {}, 2 ** 31 - 1);
    if (!interrupted.signal.aborted) await once(interrupted.signal, "abort");
    clearInterval(keepAlive);
    console.log("Stopping …");
  } finally {
    await stack.stop();
    rmSync(envFile, { force: true });
  }
}

function whatEnds({ restarts }: Stack, envFile: string): string {
  const started = Object.keys(restarts).length;
  if (started === 0) return `No server was started here: Ctrl-C only removes ${envFile}.`;
  const which = started < serverVariables.length ? "servers that were started here" : "servers";
  return `Ctrl-C stops the ${which} and removes their data.`;
}
