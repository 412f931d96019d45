import { mkdir, writeFile } from "node:fs/promises";
import { fileNameOf } from "./record.ts";
import type { BenchRecord } from "./record.ts";

/** What a record says besides figures and options. */
export type Circumstances = Pick<BenchRecord, "commit" | "subject" | "isModified" | "measuredAt" | "machine">;

const history = new URL("history/", import.meta.url);

/** Writes a file of `bench/history`. Resolves to its path in the project. */
export async function saveRecord(record: BenchRecord): Promise<string> {
  const name = fileNameOf(record);
  await mkdir(history, { recursive: true });
  await writeFile(new URL(name, history), `${JSON.stringify(record, undefined, 2)}\n`);
  return `bench/history/${name}`;
}
