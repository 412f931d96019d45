import { randomUUID } from "node:crypto";
import { LABEL_TESTCONTAINERS_SESSION_ID } from "testcontainers";
import type { ContainerRuntimeClient } from "testcontainers";
import { ProcessFailed, untilReady } from "../server-start.ts";
import { textOf } from "./container-log.ts";
import type { ReadyEngine } from "./engine.ts";

type Container = Awaited<ReturnType<ContainerRuntimeClient["container"]["create"]>>;

/** A container to start. */
export interface ContainerSpec {
  /** For people to read, as in "Kafka". */
  readonly name: string;
  readonly image: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Ports of 127.0.0.1, each with the container's port. Fixed, so that a restarted container has the same address. */
  readonly ports?: readonly (readonly [host: number, container: number])[];
  /** Id of the container whose network this one uses. */
  readonly networkOf?: string;
}

/** Label with the id of the stack that a container belongs to. */
export const LABEL = "headrace.stack";
/** In bytes. PostgreSQL shares memory among its processes, and Docker's default of 64 MB is too little. */
const SHARED_MEMORY = 256 * 1024 * 1024;

/** Containers that are removed together, with their volumes. testcontainers' reaper does so if this process dies. */
export class Containers {
  readonly #engine: ContainerRuntimeClient;
  readonly #sessionId: string;
  readonly #report: (line: string) => void;
  readonly #id = randomUUID();
  readonly #restarting = new Set<string>();
  readonly #creations: Promise<Container>[] = [];
  #isStopping = false;

  /** `report` gets a line when a server ends unexpectedly. */
  constructor({ engine, sessionId }: ReadyEngine, report: (line: string) => void) {
    this.#engine = engine;
    this.#sessionId = sessionId;
    this.#report = report;
  }

  /** Starts a container and resolves to its id. @throws ProcessFailed if the engine cannot start it */
  async run(spec: ContainerSpec): Promise<string> {
    const container = await this.#create(spec);
    await start(spec, container);
    return container.id;
  }

  /**
   * Starts a server, and calls `ready` until it resolves. Resolves to a function that kills the container, starts it
   * again with its data and waits for `ready`.
   * @throws ProcessFailed if the container ends first, or is not ready after two minutes
   */
  async serve(spec: ContainerSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<() => Promise<void>> {
    signal.throwIfAborted();
    const container = await this.#create(spec);
    let running = await this.#serve(spec, container, signal, ready);
    return async () => {
      this.#restarting.add(container.id);
      await unless(409, container.kill({ signal: "SIGKILL" }));
      await running.ended;
      this.#restarting.delete(container.id);
      running = await this.#serve(spec, container, signal, ready);
    };
  }

  /** Removes all containers and their volumes. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    // A start that failed elsewhere may still be creating some.
    await Promise.allSettled(this.#creations);
    const { dockerode } = this.#engine.container;
    const own = await dockerode.listContainers({ all: true, filters: { label: [`${LABEL}=${this.#id}`] } });
    await Promise.all(own.map(({ Id }) => unless(404, dockerode.getContainer(Id).remove({ force: true, v: true }))));
  }

  async #create(spec: ContainerSpec): Promise<Container> {
    if (this.#isStopping) throw new Error(`${spec.name} is not started: its stack is being stopped.`);
    const ports = spec.ports ?? [];
    const creation = this.#engine.container.create({
      Image: spec.image,
      Labels: { [LABEL]: this.#id, [LABEL_TESTCONTAINERS_SESSION_ID]: this.#sessionId },
      Env: Object.entries(spec.environment ?? {}).map(([key, value]) => `${key}=${value}`),
      ...(spec.entrypoint && { Entrypoint: [...spec.entrypoint] }),
      ...(spec.command && { Cmd: [...spec.command] }),
      ExposedPorts: Object.fromEntries(ports.map(([, port]) => [`${port}/tcp`, {}])),
      HostConfig: {
        PortBindings: Object.fromEntries(
          ports.map(([host, port]) => [`${port}/tcp`, [{ HostIp: "127.0.0.1", HostPort: String(host) }]]),
        ),
        ShmSize: SHARED_MEMORY,
        ...(spec.networkOf !== undefined && { NetworkMode: `container:${spec.networkOf}` }),
      },
    });
    this.#creations.push(creation);
    return await creation;
  }

  async #serve(
    spec: ContainerSpec,
    container: Container,
    signal: AbortSignal,
    ready: () => Promise<void>,
  ): Promise<{ readonly ended: Promise<string> }> {
    await start(spec, container);
    const ended = endOf(container);
    await untilReady({ name: spec.name, ended, log: () => logOf(container) }, signal, ready);
    void ended.then((how) => {
      if (!this.#isStopping && !this.#restarting.has(container.id)) {
        this.#report(`${spec.name} ended unexpectedly: ${how}`);
      }
    });
    return { ended };
  }
}

async function logOf(container: Container): Promise<string> {
  return textOf(await container.logs({ stdout: true, stderr: true, tail: 100, follow: false }));
}

async function start({ name }: ContainerSpec, container: Container): Promise<void> {
  try {
    await container.start();
  } catch (error) {
    const log = `${await logOf(container)}${(error as Error).message}`;
    throw new ProcessFailed(`${name} could not be started.`, log, { cause: error });
  }
}

/** Resolves to how the container ended. */
async function endOf(container: Container): Promise<string> {
  try {
    const { StatusCode } = (await container.wait()) as { readonly StatusCode: number };
    return `exit code ${StatusCode}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Waits for a request to the engine. An answer with this HTTP status means that there was nothing to do. */
async function unless(status: number, done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if ((error as { readonly statusCode?: unknown }).statusCode !== status) throw error;
  }
}
