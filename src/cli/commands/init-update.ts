import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import type { Config } from "../../config/config-schema.ts";
import { loadConfig, parseConfig } from "../../config/load-config.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { ArrayStyle } from "../../operations/propose/find-columns.ts";
import type { NameStyle } from "../../operations/propose/names.ts";
import { SAMPLE_LIMITS, sampleDatabase } from "../../operations/sample-database.ts";
import { withDatabase } from "../../operations/source-database.ts";
import { compareConfig } from "../../operations/update/compare-config.ts";
import type { Comparison } from "../../operations/update/compare-config.ts";
import { MisfitCount } from "../../operations/update/misfits.ts";
import { unifiedDiff } from "../../operations/update/unified-diff.ts";
import { applied } from "../../operations/update/yaml-insertion.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { isConfirmed } from "../confirm.ts";

/** The options of `headrace init`. */
export interface InitOptions {
  readonly database?: string;
  readonly mongodbUri?: string;
  readonly sample: number;
  readonly out?: string;
  readonly names?: NameStyle;
  readonly arrays: ArrayStyle;
  readonly update?: true;
  readonly yes?: true;
}

/** Compares a config with its database, shows the difference and, once confirmed, adds it to the file. */
export async function updateConfig(file: string, options: InitOptions, signal: AbortSignal): Promise<number> {
  const { database, sample, yes } = options;
  const config = await loadedConfig(file);
  if (typeof config === "string") {
    process.stderr.write(`${config}\n`);
    return EXIT_USAGE;
  }
  const text = await readFile(file, "utf8");
  if (database !== undefined && database !== config.mongodb.database) {
    return usage(`${file} is for the database ${JSON.stringify(config.mongodb.database)}. Leave --database out.`);
  }
  if (!Number.isInteger(sample) || sample < 1) return usage("--sample takes a whole number of documents, 1 or more.");
  const { insertions, report } = await compare(config, text, options, signal);
  process.stderr.write(report.map((line) => `${line}\n`).join(""));
  if (insertions.length === 0) {
    process.stderr.write(`${file} has nothing to add.\n`);
    return EXIT_DONE;
  }
  const after = applied(text, insertions);
  // Before anybody applies it: what init adds must be valid beside all that people wrote.
  parseConfig(after, { file: `${file} with the additions`, environment: process.env });
  process.stdout.write(unifiedDiff(file, text, insertions));
  if (yes !== true && !(await isConfirmed(`Add this to ${file}?`, signal))) return EXIT_USAGE;
  const complaint = await replaceFile(file, text, after);
  if (complaint !== null) return usage(complaint);
  process.stderr.write(`Wrote ${file}.\n`);
  return EXIT_DONE;
}

/** The config, or what is wrong with the file. */
async function loadedConfig(file: string): Promise<Config | string> {
  try {
    return await loadConfig(file);
  } catch (error) {
    if (!(error instanceof HeadraceError) || error.code !== "CONFIG_INVALID") throw error;
    return error.message;
  }
}

function usage(mistake: string): number {
  process.stderr.write(`error: ${mistake}\n`);
  return EXIT_USAGE;
}

async function compare(
  { name: pipeline, mongodb, collections }: Config,
  text: string,
  { mongodbUri = mongodb.uri, sample, names, arrays }: InitOptions,
  signal: AbortSignal,
): Promise<Comparison> {
  const misfits = new Map([...(collections ?? [])].map(([name, { mapping }]) => [name, new MisfitCount(mapping)]));
  return withDatabase({ uri: mongodbUri, database: mongodb.database }, async (db) => {
    const sampled = await sampleDatabase(db, {
      pipeline,
      established: [...(collections?.keys() ?? [])],
      limits: { ...SAMPLE_LIMITS, documents: sample },
      signal,
      onDocument: (collection, document) => misfits.get(collection)?.add(document),
    });
    const compared = sampled.collections.map((each) => ({
      ...each,
      misfits: misfits.get(each.name)?.byColumn ?? new Map<string, number>(),
    }));
    return compareConfig(text, compared, { names, arrays, leftOut: sampled.leftOut });
  });
}

/**
 * Replaces a file at once: it has the old text or the new one, whatever happens meanwhile.
 * @returns why that is not possible; null if it is done
 */
async function replaceFile(file: string, before: string, after: string): Promise<string | null> {
  if ((await readFile(file, "utf8")) !== before) {
    return `${file} has been changed meanwhile. Nothing was written. Run headrace init --update again.`;
  }
  const target = await realpath(file);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    const { mode } = await stat(target);
    await writeFile(temporary, after, { flag: "wx", mode });
    await rename(temporary, target);
    return null;
  } catch (error) {
    await rm(temporary, { force: true });
    const { code = "" } = error as NodeJS.ErrnoException;
    return `${file} cannot be written (${code}). Save the diff above to a file, and apply it with patch.`;
  }
}
