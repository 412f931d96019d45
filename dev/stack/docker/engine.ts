import { setTimeout as sleep } from "node:timers/promises";
import { ImageName, getContainerRuntimeClient, getReaper } from "testcontainers";
import type { ContainerRuntimeClient } from "testcontainers";
import { reported } from "../../reported.ts";
import { rejectOnAbort } from "../server-start.ts";

/** A Docker engine answers, but the servers cannot run on it. The message says why and what to do. */
export class EngineUnusable extends Error {
  override readonly name = "EngineUnusable";
}

interface EngineOptions {
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

const ENGINE_TIMEOUT_MS = 5000;

/** The Docker engine of DOCKER_HOST, or the local one. Undefined if none answers within 5 s. */
export async function findEngine(signal: AbortSignal): Promise<ContainerRuntimeClient | undefined> {
  const none = sleep(ENGINE_TIMEOUT_MS, undefined, { ref: false });
  return await Promise.race([getContainerRuntimeClient().catch(() => undefined), none, rejectOnAbort(signal)]);
}

/** An engine that has the images, and the session id by which testcontainers' reaper finds our containers. */
export interface ReadyEngine {
  readonly engine: ContainerRuntimeClient;
  readonly sessionId: string;
}

/** Makes sure that the engine has the images and publishes ports on this machine. @throws EngineUnusable */
export async function prepareEngine(
  engine: ContainerRuntimeClient,
  images: readonly string[],
  options: EngineOptions,
): Promise<ReadyEngine> {
  const { host } = engine.info.containerRuntime;
  if (!["localhost", "127.0.0.1", "::1"].includes(host)) {
    throw new EngineUnusable(
      `The Docker engine publishes ports on ${host}, but the servers need 127.0.0.1. Use a Docker engine on this machine.`,
    );
  }
  await Promise.all(images.map((image) => fetchImage(engine, image, options)));
  return { engine, sessionId: await startReaper(engine) };
}

/** The reaper removes the containers if this process dies. */
async function startReaper(engine: ContainerRuntimeClient): Promise<string> {
  try {
    return (await getReaper(engine)).sessionId;
  } catch (error) {
    const message = `testcontainers' reaper did not start (${(error as Error).message}).`;
    throw new EngineUnusable(`${message} Set TESTCONTAINERS_RYUK_DISABLED=true to run without it.`, { cause: error });
  }
}

async function fetchImage(engine: ContainerRuntimeClient, image: string, options: EngineOptions): Promise<void> {
  const name = ImageName.fromString(image);
  if (await engine.image.exists(name)) return;
  await reported(options.report, [`${image}: pulling (once)`, `${image}: pulled`], async () => {
    const reason = await Promise.race([pull(engine, name), rejectOnAbort(options.signal)]);
    if (await engine.image.exists(name)) return;
    throw new EngineUnusable(`The image ${image} could not be pulled${reason}. Try \`docker pull ${image}\`.`);
  });
}

/** Resolves to the engine's reason if the pull failed, otherwise to an empty text. */
async function pull(engine: ContainerRuntimeClient, name: ImageName): Promise<string> {
  try {
    await engine.image.pull(name);
    return "";
  } catch (error) {
    return `: ${(error as Error).message.trim()}`;
  }
}
