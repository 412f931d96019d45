// Every command ends by itself, once everything that it has opened is closed. In process.exit Node can hang for ever
// (https://github.com/nodejs/node/issues/54918), and with --trace-exit it tells of each call.
import { expect, test, vi } from "vitest";
import type { HeadraceProcess } from "../../dev/headrace-process.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Commands, Pipeline } from "../support/pipeline.ts";

const CALLED = "WARNING: Exited the environment";

async function tracedPipeline(): Promise<Pipeline> {
  vi.stubEnv("NODE_OPTIONS", "--trace-exit");
  const pipeline = await freshPipeline();
  await pipeline.db.collection<{ _id: string }>("things").insertMany([{ _id: "a" }, { _id: "b" }]);
  return pipeline;
}

async function expectEnd(commands: Commands, args: readonly string[], exitCode = 0): Promise<void> {
  const ended = await commands.run(...args);
  expect(ended, args.join(" ")).toMatchObject({ exitCode, stderr: expect.not.stringContaining(CALLED) as string });
}

async function expectStop(process: HeadraceProcess): Promise<void> {
  await process.stop();
  expect(await process.end()).toBe(143);
  expect(process.logTail()).toContain("stopping");
  expect(process.logTail()).not.toContain(CALLED);
}

test("a command that answers, changes something, or fails ends by itself", async () => {
  const pipeline = await tracedPipeline();
  for (const args of [
    ["check"],
    ["run", "--once"],
    ["status"],
    ["verify"],
    ["dlq", "list"],
    ["dlq", "replay"],
    ["snapshot", "--collection", "things"],
    ["resync", "--collection", "things"],
  ])
    await expectEnd(pipeline, args);
  await expectEnd(pipeline, ["status", "--no-such-option"], 2);
  await expectEnd(pipeline, ["--help"]);
  const other = await pipeline.reconfigured({ name: `${pipeline.name}_other` });
  await expectEnd(other, ["run", "--once"], 1);
  await expectEnd(other, ["take-over", "--all", "--yes"]);
  await expectEnd(other, ["remove", "--pipeline", "--yes"]);
});

test("a producer, a consumer, and both in one process end by themselves when they are stopped", async () => {
  const pipeline = await tracedPipeline();
  const services = [pipeline.start("produce"), pipeline.start("consume")];
  await expectEnd(pipeline, ["status", "--wait-for", "now", "--timeout", "60"]);
  for (const service of services) await expectStop(service);
  const both = pipeline.start("run");
  await both.logged("partitions assigned");
  await pipeline.db.collection<{ _id: string }>("things").insertOne({ _id: "c" });
  await expectEnd(pipeline, ["status", "--wait-for", "now", "--timeout", "60"]);
  await expectStop(both);
});
