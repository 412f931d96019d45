import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import type { RegisteredSchema, SchemaRegistry } from "../../../src/schemas/registry/registry.ts";

/** A registry in memory, with ids from 1. */
export class MemoryRegistry {
  readonly #schemas: RegisteredSchema[] = [];
  readonly fetched = new Set<number>();

  add(definition: unknown): number {
    const id = this.#schemas.length + 1;
    this.#schemas.push({ id, definition, type: avroType(definition) });
    return id;
  }

  /** A client of it: caches an id after the first request. */
  reader(): SchemaRegistry {
    const find = (id: number) => this.#schemas[id - 1];
    return {
      register: () => Promise.reject(new Error("a consumer registers nothing")),
      latest: () => Promise.reject(new Error("a consumer wants no latest schema")),
      schema: (id) => {
        const schema = find(id);
        if (schema === undefined) return Promise.reject(Object.assign(new Error(), { code: "SCHEMA_UNKNOWN" }));
        this.fetched.add(id);
        return Promise.resolve(schema);
      },
      cached: (id) => (this.fetched.has(id) ? find(id) : undefined),
    };
  }
}
