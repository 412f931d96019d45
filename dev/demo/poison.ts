import { setTimeout as sleep } from "node:timers/promises";
import { headrace } from "../headrace-process.ts";
import type { Demo } from "./demo.ts";
import { say } from "./output.ts";

const poisonedId = 2_000_000_000;
const deadlineMs = 60_000;

/** A record that PostgreSQL refuses becomes a dead letter. Its cause is fixed, and the record is replayed. */
export async function showPoison(demo: Demo): Promise<void> {
  const table = `"${demo.name}".cities`;
  say("Poison: the table gets the constraint population >= 0, and MongoDB gets a city with population -1 …");
  await demo.target.query(`ALTER TABLE ${table} ADD CONSTRAINT population_positive CHECK (population >= 0)`);
  const cities = demo.source.db(demo.name).collection<{ _id: number; name: string; population: number }>("cities");
  await cities.insertOne({ _id: poisonedId, name: "Minus One", population: -1 });
  say(await until("the poison record to be dead-lettered", () => openDeadLetters(demo)));
  const next = await cities.insertOne({ _id: poisonedId + 1, name: "After Minus One", population: 1 });
  await until("the next record to be applied", () => rowExists(demo, next.insertedId));
  say("  The next record was applied: a dead letter blocks nothing.");
  await demo.target.query(`ALTER TABLE ${table} DROP CONSTRAINT population_positive`);
  say("Fixed: the constraint is dropped. headrace dlq replay …");
  const replay = await headrace(["dlq", "replay", "-c", demo.config], demo.env);
  if (replay.exitCode !== 0) throw new Error(`headrace dlq replay failed:\n${replay.stdout}\n${replay.stderr}`);
  say(indent(replay.stdout));
  if (!(await rowExists(demo, poisonedId))) throw new Error("the replayed record is not in the table");
}

async function openDeadLetters(demo: Demo): Promise<string | undefined> {
  const list = await headrace(["dlq", "list", "-c", demo.config], demo.env);
  if (list.exitCode !== 0) throw new Error(`headrace dlq list failed:\n${list.stderr}`);
  return list.stdout.includes("23514") ? indent(list.stdout) : undefined;
}

async function rowExists(demo: Demo, id: number): Promise<boolean> {
  const { rowCount } = await demo.target.query(`SELECT 1 FROM "${demo.name}".cities WHERE _id = $1`, [id]);
  return rowCount === 1;
}

async function until<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs / 1000} s for ${what}`);
    await sleep(100);
  }
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "  ");
}
