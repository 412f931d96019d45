import { Option } from "commander";
import type { Command } from "commander";

const DEFAULT_FILE = "headrace.yaml";

/** `-c`, for a command, and for what stands before it: `headrace -c FILE check`. */
export function configOption(): Option {
  return new Option("-c, --config <file>", `the config file (default: "${DEFAULT_FILE}")`);
}

/** The file that is given nearest to the command's end; without any, the default. */
export function configFileOf(command: Command): string {
  for (let each: Command | null = command; each !== null; each = each.parent) {
    const { config } = each.opts<{ config?: string }>();
    if (config !== undefined) return config;
  }
  return DEFAULT_FILE;
}
