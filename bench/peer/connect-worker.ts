import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onFreePorts } from "../../dev/stack/free-ports.ts";
import { LOG4J_PROPERTIES } from "../../dev/stack/local/kafka.ts";
import { Supervisor } from "../../dev/stack/local/supervisor.ts";
import { findJava } from "../../dev/stack/local/tools.ts";
import { processesOfServer } from "../cpu-time.ts";
import type { ConnectorSettings } from "./connectors.ts";
import type { ConnectPrograms } from "./downloads.ts";

/** What a worker needs to start. */
export interface WorkerOptions {
  readonly programs: ConnectPrograms;
  readonly kafkaBrokers: string;
  /** A new folder, for its settings, its offsets and its log. */
  readonly folder: string;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The state of a connector or of a task. */
type State = "RUNNING" | "STOPPED" | "PAUSED" | "FAILED" | "UNASSIGNED" | "RESTARTING";

interface Status {
  readonly connector: { readonly state: State; readonly trace?: string };
  readonly tasks: readonly { readonly state: State; readonly trace?: string }[];
}

const JVM = ["-Xmx2g", "-XX:+UseParallelGC"];
const STATE_MS = 50;

/** Kafka Connect, standalone: one JVM with all connectors. */
export class ConnectWorker implements AsyncDisposable {
  /** Of the JVM. */
  readonly pids: readonly number[];
  readonly #supervisor: Supervisor;
  readonly #url: string;
  readonly #connectors = new Set<string>();

  private constructor(supervisor: Supervisor, url: string, pids: readonly number[]) {
    this.#supervisor = supervisor;
    this.#url = url;
    this.pids = pids;
  }

  static async start(options: WorkerOptions): Promise<ConnectWorker> {
    const java = await findJava(options.signal);
    const supervisor = await Supervisor.start(options.report);
    try {
      const port = await onFreePorts(1, ([free = 0]) => serve(options, { java, supervisor, port: free }));
      return new ConnectWorker(supervisor, `http://127.0.0.1:${port}`, await processesOfServer(port));
    } catch (error) {
      await supervisor.stop();
      throw error;
    }
  }

  /** Creates a connector, which begins to work. */
  async create(name: string, settings: ConnectorSettings): Promise<void> {
    await this.#call("PUT", `/connectors/${name}/config`, settings);
    this.#connectors.add(name);
  }

  /** Stops all connectors and their tasks. They keep their offsets. */
  async stop(): Promise<void> {
    for (const name of this.#connectors) await this.#call("PUT", `/connectors/${name}/stop`);
    for (const name of this.#connectors) {
      while ((await this.#statusOf(name)).tasks.length > 0) await sleep(STATE_MS);
    }
  }

  async resume(): Promise<void> {
    for (const name of this.#connectors) await this.#call("PUT", `/connectors/${name}/resume`);
  }

  /** @throws Error if a connector or a task has failed */
  async check(): Promise<void> {
    for (const name of this.#connectors) {
      const { connector, tasks } = await this.#statusOf(name);
      const failed = [connector, ...tasks].find(({ state }) => state === "FAILED");
      if (failed !== undefined) throw new Error(`The peer's connector ${name} failed:\n${failed.trace}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stop();
  }

  async #statusOf(name: string): Promise<Status> {
    return (await this.#call("GET", `/connectors/${name}/status`)) as Status;
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Kafka Connect answered ${method} ${path} with ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** Resolves to the port once the worker answers. */
async function serve(
  { programs, kafkaBrokers, folder, signal }: WorkerOptions,
  { java, supervisor, port }: { readonly java: string; readonly supervisor: Supervisor; readonly port: number },
): Promise<number> {
  const [plugins, properties, log4j] = ["plugins", "worker.properties", "log4j2.properties"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await rm(folder, { recursive: true, force: true });
  await mkdir(plugins, { recursive: true });
  for (const plugin of programs.plugins) await symlink(plugin, join(plugins, basename(plugin)));
  const url = `http://127.0.0.1:${port}`;
  await writeFile(
    properties,
    lines(workerProperties({ kafkaBrokers, url, plugins, offsets: join(folder, "offsets") })),
  );
  await writeFile(log4j, LOG4J_PROPERTIES);
  const classes = ["-cp", join(programs.libraries, "*"), "org.apache.kafka.connect.cli.ConnectStandalone"];
  const worker = {
    name: "Kafka Connect",
    command: java,
    // liblz4 and others unpack themselves there.
    args: [...JVM, `-Djava.io.tmpdir=${folder}`, `-Dlog4j2.configurationFile=${log4j}`, ...classes, properties],
    cwd: folder,
    logFile: join(folder, "worker.log"),
    stopSignal: "SIGKILL" as const,
  };
  await supervisor.serve(worker, signal, async () => {
    const response = await fetch(`${url}/connectors`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  });
  return port;
}

function workerProperties(of: {
  readonly kafkaBrokers: string;
  readonly url: string;
  readonly plugins: string;
  readonly offsets: string;
}): Readonly<Record<string, string>> {
  const json = "org.apache.kafka.connect.json.JsonConverter";
  return {
    "bootstrap.servers": of.kafkaBrokers,
    listeners: of.url,
    "plugin.path": of.plugins,
    "plugin.discovery": "only_scan",
    "key.converter": json,
    "value.converter": json,
    "offset.storage.file.filename": of.offsets,
    "offset.flush.interval.ms": "10000",
    "connector.client.config.override.policy": "All",
  };
}

function lines(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}
