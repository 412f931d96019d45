import type { ContainerRuntimeClient } from "testcontainers";
import { ONE_MEMBER, THREE_MEMBERS } from "../server-settings.ts";
import { serverVariables } from "../server-urls.ts";
import { stackOf, startTogether } from "../started-servers.ts";
import type { Stack, StartOptions } from "../types.ts";
import { composeImages } from "./compose-images.ts";
import { Containers } from "./containers.ts";
import { EngineUnusable, findEngine, prepareEngine } from "./engine.ts";
import { startInDocker } from "./servers.ts";
import type { DockerContext } from "./servers.ts";

/** Starts the four servers in containers. If Docker cannot, the error says what to do. */
export async function startDockerStack(options: StartOptions): Promise<Stack> {
  const engine = await findEngine(options.signal);
  if (engine === undefined) {
    throw new Error("No Docker engine answers. Start one, set DOCKER_HOST, or use HEADRACE_STACK=local.");
  }
  return await startOn(engine, options);
}

/** Like startDockerStack, but resolves to undefined if Docker cannot. Reports why, if an engine answers. */
export async function tryDockerStack(options: StartOptions): Promise<Stack | undefined> {
  const engine = await findEngine(options.signal);
  if (engine === undefined) return undefined;
  try {
    return await startOn(engine, options);
  } catch (error) {
    if (!(error instanceof EngineUnusable)) throw error;
    options.report(`${error.message} Using local processes instead.`);
    return undefined;
  }
}

async function startOn(engine: ContainerRuntimeClient, options: StartOptions): Promise<Stack> {
  const images = await composeImages();
  const ready = await prepareEngine(engine, Object.values(images), options);
  const containers = new Containers(ready, options.report);
  const { signal, report, hasElections } = options;
  try {
    const context = { containers, images, mongodb: hasElections ? THREE_MEMBERS : ONE_MEMBER, signal, report };
    const started = await startTogether(
      context,
      serverVariables.map(([key]) => [key, (context: DockerContext) => startInDocker(key, context)] as const),
    );
    return stackOf("docker", {}, started, () => containers.stop());
  } catch (error) {
    await containers.stop();
    throw error;
  }
}
