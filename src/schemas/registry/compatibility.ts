import { HeadraceError } from "../../errors/error.ts";
import { RegistryRefusal } from "./transport.ts";
import type { RegistryTransport } from "./transport.ts";

/** Levels at which the registry refuses what Headrace must not register. */
const SUFFICIENT: ReadonlySet<unknown> = new Set(["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"]);

/** The path of a subject's compatibility. */
function compatibilityPath(subject: string): string {
  return `/config/${encodeURIComponent(subject)}`;
}

/**
 * What to do where the registry's user may not set a subject's compatibility: nothing if the registry's own level is
 * sufficient.
 * @throws HeadraceError REGISTRY_FORBIDDEN, or an error of the registry
 */
export async function requireCompatibility(transport: RegistryTransport, subject: string): Promise<void> {
  const level = (await levelAt(transport, compatibilityPath(subject))) ?? (await levelAt(transport, "/config"));
  if (SUFFICIENT.has(level)) return;
  throw new HeadraceError("REGISTRY_FORBIDDEN", {
    message: `The schema registry's user may not set the compatibility of the subject ${subject}, and the registry's own level is ${level ?? "not set"}.`,
    remedy: `Grant the user of schemaRegistry.auth the right to set the compatibility of the pipeline's subjects. Or let an administrator of the registry run: curl -X PUT -H 'content-type: application/vnd.schemaregistry.v1+json' --data '{"compatibility":"BACKWARD"}' ${transport.url}/config`,
  });
}

/**
 * Whether the user may set a subject's compatibility. Sends a level that does not exist: the registry refuses it, but not
 * as it refuses a user, and nothing changes.
 * @throws HeadraceError REGISTRY_UNAVAILABLE
 */
export async function maySetCompatibility(transport: RegistryTransport, subject: string): Promise<boolean> {
  try {
    await transport.request("PUT", compatibilityPath(subject), { compatibility: "HEADRACE_CHECK" });
    return true;
  } catch (error) {
    if (!(error instanceof HeadraceError) || error.code === "REGISTRY_UNAVAILABLE") throw error;
    return error.code !== "REGISTRY_FORBIDDEN";
  }
}

/** Undefined if none is set. Confluent's registry then answers 404, Apicurio NONE. */
async function levelAt(transport: RegistryTransport, path: string): Promise<string | undefined> {
  try {
    const { compatibilityLevel } = await transport.request("GET", path);
    return compatibilityLevel === "NONE" ? undefined : String(compatibilityLevel);
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 404) return undefined;
    throw error;
  }
}
