import { asRegistryError } from "./registry.ts";
import { RegistryRefusal, registryRequest } from "./transport.ts";
import type { SchemaRegistryOptions } from "./transport.ts";

/** The registry's subjects, to remove some. Every method throws HeadraceError. */
export interface RegistrySubjects {
  list(): Promise<readonly string[]>;
  /** With all its versions, for good; one that is not there is no error. */
  remove(subject: string): Promise<void>;
}

export function registrySubjects(registry: SchemaRegistryOptions): RegistrySubjects {
  return {
    async list() {
      try {
        // Those, too, whose removal has broken off in the middle.
        return (await registryRequest(registry, "GET", "/subjects?deleted=true")) as readonly string[];
      } catch (error) {
        throw asRegistryError(error);
      }
    },
    async remove(subject) {
      const path = `/subjects/${encodeURIComponent(subject)}`;
      for (const each of [path, `${path}?permanent=true`]) {
        try {
          await registryRequest(registry, "DELETE", each);
        } catch (error) {
          if (!(error instanceof RegistryRefusal && error.status === 404)) throw asRegistryError(error);
        }
      }
    },
  };
}
