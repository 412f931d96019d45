import { Command } from "commander";
import { EXIT_USAGE } from "../runtime/lifecycle.ts";
import { checkCommand } from "./check.ts";
import { consumeCommand } from "./consume.ts";
import { dlqCommand } from "./dlq.ts";
import { initCommand } from "./init.ts";
import { readPackage } from "./package-info.ts";
import { produceCommand } from "./produce.ts";
import { removeCommand } from "./remove.ts";
import { resyncCommand } from "./resync.ts";
import { runCommand } from "./run.ts";
import { snapshotCommand } from "./snapshot.ts";
import { statusCommand } from "./status.ts";
import { verifyCommand } from "./verify.ts";

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

const commands = [
  initCommand(),
  checkCommand(),
  runCommand(),
  produceCommand(),
  consumeCommand(),
  statusCommand(),
  verifyCommand(),
  snapshotCommand(),
  resyncCommand(),
  dlqCommand(),
  removeCommand(),
];
for (const command of commands) program.addCommand(inherit(command, program));

/** Subcommands do not end, and show their help, as their parents do, unless told so. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(inner, command);
  return command;
}

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

await program.parseAsync();
