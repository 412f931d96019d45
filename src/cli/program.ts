import { Command, CommanderError } from "commander";
import { EXIT_USAGE } from "../runtime/lifecycle.ts";
import { configOption } from "./config-option.ts";
import { exit } from "./exit.ts";
import { readPackage } from "./package-info.ts";

const { version, description } = readPackage();

const program = new Command("headrace")
  .description(`${description}.`)
  .version(version)
  // Before the command, `-c` is an option of the program; behind it, one of the command.
  .enablePositionalOptions()
  .addOption(configOption())
  .showHelpAfterError("(add --help to see the arguments and options)")
  .exitOverride()
  .addHelpText(
    "after",
    `
First steps: headrace init, check, run, status, verify.
Every command but init reads a config file: headrace.yaml, or the file that --config names.

Exit codes:
  0         done
  1         fatal error; check or verify found a problem; dlq replay left dead letters open
  2         wrong usage, or a mistake in the config
  130, 143  stopped by Ctrl-C or SIGTERM, after finishing the work in progress`,
  );

/** In the order of the help. Only the given command is loaded: loading takes most of the time of a short command. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import("./commands/init.ts")).initCommand(),
  check: async () => (await import("./commands/check.ts")).checkCommand(),
  run: async () => (await import("./commands/run.ts")).runCommand(),
  produce: async () => (await import("./commands/produce.ts")).produceCommand(),
  consume: async () => (await import("./commands/consume.ts")).consumeCommand(),
  status: async () => (await import("./commands/status.ts")).statusCommand(),
  verify: async () => (await import("./commands/verify.ts")).verifyCommand(),
  snapshot: async () => (await import("./commands/snapshot.ts")).snapshotCommand(),
  resync: async () => (await import("./commands/resync.ts")).resyncCommand(),
  dlq: async () => (await import("./commands/dlq.ts")).dlqCommand(),
  "take-over": async () => (await import("./commands/take-over.ts")).takeOverCommand(),
  remove: async () => (await import("./commands/remove.ts")).removeCommand(),
};

async function runCommand(): Promise<void> {
  const [asked = ""] = program.parseOptions(process.argv.slice(2)).operands;
  const wanted = Object.entries(COMMANDS).filter(([name]) => name === asked || !Object.hasOwn(COMMANDS, asked));
  for (const [, load] of wanted) program.addCommand(inherit(await load(), program));
  await program.parseAsync();
}

/** commander passes on its settings, for example the exit codes, only to subcommands that it creates itself. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(inner, command);
  return command;
}

// A reader that closes the pipe early, for example `head`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await runCommand();
} catch (error) {
  // Help, the version, or a mistake, which is printed by now.
  if (!(error instanceof CommanderError)) throw error;
  await exit(error.exitCode === 0 ? 0 : EXIT_USAGE);
}
