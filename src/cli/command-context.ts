import type { Command } from "commander";
import type { Config } from "../config/config-schema.ts";
import { loadConfig } from "../config/load-config.ts";
import { HeadraceError } from "../errors/error.ts";
import { closeKeptConnections } from "../kafka/topics.ts";
import type { Context } from "../operations/context.ts";
import { EXIT_USAGE, runToExitCode } from "../runtime/lifecycle.ts";
import { createLogger, describeError, logFatal } from "../runtime/logger.ts";
import type { LoggerOptions } from "../runtime/logger.ts";
import { configFileOf, configOption } from "./config-option.ts";
import { exit } from "./exit.ts";
import { openLiveLine } from "./output/live-line.ts";
import type { LiveLine } from "./output/live-line.ts";
import { textLog } from "./output/log-text.ts";

/** What every command gets. `signal` aborts at the first SIGTERM or SIGINT. */
export interface CommandContext extends Context {
  /** Null for a question, and if stderr is not a terminal. */
  readonly liveLine: LiveLine | null;
}

/**
 * `service`: runs until it is stopped; its output is the log. `question`: prints an answer and exits. Its log is for people:
 * texts on stderr, and of the default level `info` only warnings and errors.
 */
type CommandKind = "service" | "question";

/**
 * Adds `--config` to a command. The command then loads that file, runs, and exits the process.
 * @param run resolves to the exit code, or to nothing for 0; reads its own options from the command
 */
export function onConfig(
  command: Command,
  kind: CommandKind,
  run: (context: CommandContext) => Promise<number | void>,
): Command {
  return command.addOption(configOption()).action(async () => {
    const exitCode = await runWithConfig(configFileOf(command), kind, run);
    // Not awaited: a broker that answers nothing would hold it up, and with it the exit.
    void closeKeptConnections();
    await exit(exitCode);
  });
}

async function runWithConfig(
  file: string,
  kind: CommandKind,
  run: (context: CommandContext) => Promise<number | void>,
): Promise<number> {
  let config: Config;
  try {
    config = await loadConfig(file);
  } catch (error) {
    if (!(error instanceof HeadraceError) || error.code !== "CONFIG_INVALID") throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT_USAGE;
  }
  const liveLine = kind === "service" ? await openLiveLine(process.stderr) : null;
  const logger = createLogger({
    level: kind === "question" && config.log.level === "info" ? "warn" : config.log.level,
    fields: { pipeline: config.name },
    ...destinationOf(kind, liveLine),
  });
  return runToExitCode((signal) => run({ config, logger, signal, liveLine }), {
    onFatal: (error) => (kind === "service" ? logFatal(logger, error) : printFatal(error)),
    onDrain: (stopSignal) => logger.info({ signal: stopSignal }, "stopping; a second signal exits at once"),
  });
}

function destinationOf(kind: CommandKind, liveLine: LiveLine | null): Pick<LoggerOptions, "destination"> {
  if (kind === "question") return { destination: textLog((text) => process.stderr.write(text)) };
  return liveLine === null ? {} : { destination: { write: (line: string) => liveLine.print(line) } };
}

/** Prints an error to stderr, with its code, causes and remedy. */
export function printFatal(error: unknown): void {
  const { code, message, remedy, causes = [], at = [] } = describeError(error);
  const lines = [
    `error: ${code === undefined ? "" : `${code}: `}${message ?? "unknown"}`,
    ...causes.map(({ type, code: of, message: text }) => `  caused by ${[type, of, text].filter(Boolean).join(": ")}`),
    ...at.map((frame) => `  ${frame}`),
    ...(remedy === undefined ? [] : [`  ${remedy}`]),
  ];
  process.stderr.write(`${lines.join("\n")}\n`);
}
