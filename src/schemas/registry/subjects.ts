import { RegistryRefusal, RegistryTransport, type SchemaRegistryOptions } from "./transport.ts";

/** Lists and removes subjects of a registry. Every method throws HeadraceError. */
export interface RegistrySubjects {
  list(): Promise<readonly string[]>;
  /** Deletes the subject with all its versions permanently. Does nothing if there is no such subject. */
  remove(subject: string): Promise<void>;
}

/** @throws HeadraceError REGISTRY_UNEXPECTED if the registry's address is not an HTTP URL */
export function registrySubjects(options: SchemaRegistryOptions): RegistrySubjects {
  const transport = new RegistryTransport(options);
  return {
    async list() {
      // A removal that was interrupted has left its subject behind as deleted.
      const subjects: unknown = await transport.request("GET", "/subjects?deleted=true");
      return subjects as readonly string[];
    },
    async remove(subject) {
      const path = `/subjects/${encodeURIComponent(subject)}`;
      for (const each of [path, `${path}?permanent=true`]) {
        try {
          await transport.request("DELETE", each);
        } catch (error) {
          if (!(error instanceof RegistryRefusal && error.status === 404)) throw error;
        }
      }
    },
  };
}
