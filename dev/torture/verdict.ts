import { auditViolations, rowDifferences } from "../../test/support/audit-trail.ts";
import type { ModelHistory } from "../../test/support/model-history.ts";
import { rowOf } from "../../test/support/model-tables.ts";
import type { TortureContext } from "./fault.ts";

export interface Verdict {
  /** States that the rows have shown. */
  readonly states: number;
  readonly stepsBack: number;
  /** Every violation as a sentence, including the steps back. */
  readonly differences: readonly string[];
}

/** How long the pipeline may take to catch up when all faults are healed. */
const CATCH_UP_SECONDS = 180;
/** More than one, because the last dead letters of a fault may come after the first replay. */
const REPLAYS = 5;

/** Waits for the pipeline and compares everything. Call it when all writes have ended and all faults are healed. */
export async function judge(context: TortureContext, model: ModelHistory): Promise<Verdict> {
  const differences = await verifyDifferences(context);
  for (const { name } of context.tables)
    differences.push(...(await rowDifferences(context.postgres, model, name, rowOf)));
  const { entries, stepsBack, violations } = await auditViolations(context.postgres, model, rowOf);
  return { states: entries, stepsBack, differences: [...differences, ...violations] };
}

async function verifyDifferences(context: TortureContext): Promise<string[]> {
  const first = await verify(context);
  if (first.length > 0) return first;
  const replayed = await replayAll(context);
  return [...replayed, ...(await verify(context))];
}

async function verify({ run }: TortureContext): Promise<string[]> {
  const { stdout, stderr } = await run("verify", "--json", "--wait", String(CATCH_UP_SECONDS));
  if (stdout === "") return [`headrace verify failed: ${stderr}`];
  return (JSON.parse(stdout) as { equal: boolean }).equal ? [] : [`headrace verify: ${stdout}`];
}

/** All faults are healed, so that every dead letter can be applied. */
async function replayAll({ run }: TortureContext): Promise<string[]> {
  let last = "";
  for (let replay = 0; replay < REPLAYS; replay++) {
    const { stdout } = await run("dlq", "list", "--json");
    if ((JSON.parse(stdout) as unknown[]).length === 0) return [];
    const { exitCode, ...output } = await run("dlq", "replay");
    last = `headrace dlq replay ended with ${exitCode}: ${output.stdout}${output.stderr}`;
  }
  return [`dead letters stay open: ${last}`];
}
