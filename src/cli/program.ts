import { Command } from "commander";
import { EXIT_USAGE } from "../runtime/lifecycle.ts";
import { readPackage } from "./package-info.ts";

const { version, description } = readPackage();

const program = new Command("headrace")
  .description(`${description}.`)
  .version(version)
  .showHelpAfterError("(--help says what can be given)")
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE))
  .addHelpText(
    "after",
    `
Every command reads a YAML file, headrace.yaml or what --config says; headrace.example.yaml is an example.
Exit codes: 0 done, 1 fatal error (or, of verify and check, something is wrong), 2 a mistake in the usage or the
config, 130 and 143 stopped by a signal after what was begun has been finished.`,
  );

/** In the order of the help. Only the one that was asked for is loaded, as that is most of a short command's time. */
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
  remove: async () => (await import("./commands/remove.ts")).removeCommand(),
};

const [asked = ""] = process.argv.slice(2);
const wanted = Object.entries(COMMANDS).filter(([name]) => name === asked || !Object.hasOwn(COMMANDS, asked));
for (const [, load] of wanted) program.addCommand(inherit(await load(), program));

/** Subcommands do not end, and show their help, as their parents do, unless told so. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(inner, command);
  return command;
}

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

await program.parseAsync();
