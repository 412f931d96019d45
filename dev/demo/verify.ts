import { headrace } from "../headrace-process.ts";
import type { Demo } from "./demo.ts";

/** The part of `headrace verify --json` that the demo reads. */
export interface VerifyReport {
  readonly equal: boolean;
  readonly collections: readonly { readonly collection: string; readonly documents: number; readonly rows: number }[];
}

/** Compares every document with its row. If they differ, rejects with the report. */
export async function verify({ config, env }: Pick<Demo, "config" | "env">): Promise<VerifyReport> {
  const { exitCode, stdout, stderr } = await headrace(["verify", "--json", "-c", config], env);
  if (exitCode !== 0) throw new Error(`headrace verify found differences:\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as VerifyReport;
}
