import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";

const exitModule = new URL("../../src/cli/exit.ts", import.meta.url).href;

test("a slow reader of a pipe gets the whole output before the process ends", async () => {
  const script = `import { exit } from ${JSON.stringify(exitModule)};
process.stdout.write("x".repeat(1_000_000));
await exit(3);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  // Longer than the process takes; the pipe holds 64 KiB.
  await sleep(1_000);
  let length = 0;
  child.stdout.on("data", (bytes: Buffer) => (length += bytes.length));
  expect(await closed).toEqual([3, null]);
  expect(length).toBe(1_000_000);
});
