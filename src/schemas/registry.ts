import type { Type } from "avsc";
import type { AvroRecord } from "./envelope.ts";

/** A schema as the registry holds it. */
export interface RegisteredSchema {
  readonly id: number;
  /** As it was registered, own properties included. Another program's schema may be of any shape. */
  readonly definition: unknown;
  /** Longs are bigint. The same object for the same id. */
  readonly type: Type;
}

/**
 * The registry's side of the contract. Every method throws ContractError: REGISTRY_UNAVAILABLE (retryable) where
 * it is unreachable, overloaded or broken, REGISTRY_UNEXPECTED for any other refusal (credentials, for example).
 */
export interface SchemaRegistry {
  /**
   * The id of the schema under the subject, registered with compatibility BACKWARD where it is new.
   * @throws ContractError SCHEMA_REFUSED where it is not compatible with the subject's earlier ones.
   */
  register(subject: string, definition: AvroRecord): Promise<number>;
  /** The newest schema of a subject; undefined where there is none. */
  latest(subject: string): Promise<RegisteredSchema | undefined>;
  /** @throws ContractError SCHEMA_UNKNOWN where the registry has no such id. */
  schema(id: number): Promise<RegisteredSchema>;
  /** What `schema`, `latest` or `register` has got before, without asking. */
  cached(id: number): RegisteredSchema | undefined;
}

export interface SchemaRegistryOptions {
  /** With its path, if it has one (`http://host:8080/apis/ccompat/v7`); may hold credentials. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
}

export function createSchemaRegistry(_options: SchemaRegistryOptions): SchemaRegistry {
  throw new Error("not built yet");
}
