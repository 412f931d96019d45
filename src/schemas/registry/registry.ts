import { setTimeout as sleep } from "node:timers/promises";
import { SchemaRegistry as Client, COMPATIBILITY, SchemaType } from "@kafkajs/confluent-schema-registry";
import avsc from "avsc";
import { HeadraceError } from "../../errors/error.ts";
import { avroType } from "../formats/avro-type.ts";
import type { AvroRecord } from "../mapping/envelope.ts";
import type { IdType } from "../mapping/mapping.ts";
import { RegistryRefusal, type SchemaRegistryOptions, registryTransport, withoutCredentials } from "./transport.ts";
import type { TransportResponse } from "./transport.ts";

/** A schema as the registry holds it. */
export interface RegisteredSchema {
  readonly id: number;
  /** As it was registered, own properties included. Another program's schema may be of any shape. */
  readonly definition: unknown;
  /** Longs are bigint. The same object for the same id. */
  readonly type: avsc.Type;
}

/**
 * The registry's side of the contract. Every method throws HeadraceError: REGISTRY_UNAVAILABLE (retryable) where
 * it is unreachable, overloaded or broken, REGISTRY_UNEXPECTED for any other refusal (credentials, for example).
 * Nothing of that is retried in here.
 */
export interface SchemaRegistry {
  /**
   * The id of the schema under the subject, registered with compatibility BACKWARD where it is new.
   * @throws HeadraceError SCHEMA_REFUSED where it is not compatible with the subject's earlier ones.
   */
  register(subject: string, definition: AvroRecord): Promise<number>;
  /** The newest schema of a subject; undefined where there is none. */
  latest(subject: string): Promise<RegisteredSchema | undefined>;
  /** @throws HeadraceError SCHEMA_UNKNOWN where the registry has no such id; RECORD_UNDECODABLE where it is no Avro. */
  schema(id: number): Promise<RegisteredSchema>;
  /** What `schema`, `latest` or `register` has got before, without asking. */
  cached(id: number): RegisteredSchema | undefined;
}

/**
 * The `_id` type that a topic's keys have been registered with; undefined where nothing is registered.
 * @throws HeadraceError from the registry
 */
export async function registeredIdType(registry: SchemaRegistry, topic: string): Promise<IdType | undefined> {
  const registered = await registry.latest(`${topic}-key`);
  return (registered?.definition as { "headrace.idType"?: IdType } | undefined)?.["headrace.idType"];
}

/** @throws HeadraceError REGISTRY_UNEXPECTED where `url` is none. */
export function createSchemaRegistry({ url, auth }: SchemaRegistryOptions): SchemaRegistry {
  const endpoint = withoutCredentials(url);
  const definitions = new WeakMap<avsc.Type, unknown>();
  const client = new Client(
    {
      host: endpoint.url,
      middlewares: [registryTransport(auth ?? endpoint.auth), noCompatibility] as unknown as ClientMiddleware[],
    },
    {
      [SchemaType.AVRO]: {
        // avsc drops properties that it does not know from its types, the names and types of columns among them.
        typeHook(definition) {
          const type = avroType(definition);
          definitions.set(type, definition);
          return type;
        },
      },
    },
  );
  const known = new Map<number, RegisteredSchema>();

  async function schema(id: number): Promise<RegisteredSchema> {
    const before = known.get(id);
    if (before !== undefined) return before;
    const type = await fetchType(client, id);
    // Two that ask at once are given a type each; the first one stays.
    const registered = known.get(id) ?? { id, definition: definitions.get(type), type };
    known.set(id, registered);
    return registered;
  }

  return {
    async register(subject, definition) {
      const id = await register(client, subject, definition);
      await schema(id);
      return id;
    },
    async latest(subject) {
      const id = await client.getLatestSchemaId(subject).catch((error: unknown) => {
        if (error instanceof RegistryRefusal && error.status === 404) return undefined;
        throw asRegistryError(error);
      });
      return id === undefined ? undefined : await schema(id);
    },
    schema,
    cached: (id) => known.get(id),
  };
}

/**
 * The client sets a new subject's compatibility after its first schema. Where that has broken off between the two, the
 * subject has none: Confluent's registry then says 404, Apicurio NONE, which the client would take for set on purpose.
 */
function noCompatibility() {
  return {
    response: async (next: () => Promise<TransportResponse>): Promise<TransportResponse> => {
      const response = await next();
      if (response.data()["compatibilityLevel"] === "NONE") throw new RegistryRefusal(404, "no compatibility is set");
      return response;
    },
  };
}

/** How often, and after what pause, a refusal is asked again. */
const REGISTER_TRIES = 3;
const REGISTER_PAUSE_MS = 100;

/**
 * Two that register a new subject at once get in each other's way, and a registry (Apicurio) tells the later one the
 * same as for a schema that it refuses; but asked again it knows the subject.
 */
async function register(client: Client, subject: string, definition: AvroRecord): Promise<number> {
  const schema = { type: SchemaType.AVRO, schema: JSON.stringify(definition) } as const;
  for (let tries = 1; ; tries++) {
    try {
      const { id } = await client.register(schema, { subject, compatibility: COMPATIBILITY.BACKWARD });
      return id;
    } catch (error) {
      const known = registerError(subject, error);
      const isRefusal = known instanceof HeadraceError && known.code === "SCHEMA_REFUSED";
      if (!isRefusal || tries === REGISTER_TRIES) throw known;
      await sleep(REGISTER_PAUSE_MS * tries);
    }
  }
}

type ClientMiddleware = NonNullable<ConstructorParameters<typeof Client>[0]["middlewares"]>[number];

async function fetchType(client: Client, id: number): Promise<avsc.Type> {
  let schema: unknown;
  try {
    schema = await client.getSchema(id);
  } catch (error) {
    if (error instanceof HeadraceError) throw error;
    if (!(error instanceof RegistryRefusal)) throw notAvro(id, error);
    throw error.status === 404 ? unknownSchema(id, error) : asRegistryError(error);
  }
  if (!avsc.Type.isType(schema)) throw notAvro(id);
  return schema as avsc.Type;
}

function registerError(subject: string, error: unknown): unknown {
  const isRefusal = error instanceof RegistryRefusal && (error.status === 409 || error.status === 422);
  const isOtherLevel = error instanceof Error && error.name === "ConfluentSchemaRegistryCompatibilityError";
  if (!isRefusal && !isOtherLevel) return asRegistryError(error);
  return new HeadraceError(
    "SCHEMA_REFUSED",
    {
      message: `The schema registry refuses the schema of subject ${subject}: ${error.message}`,
      remedy: isOtherLevel
        ? `Set the compatibility of ${subject} to BACKWARD, or delete its own setting.`
        : "Give the changed column another name, or give its old type back; to begin anew, remove the collection with `headrace remove`.",
    },
    error,
  );
}

/** Leaves what is no answer of the registry as it is: a bug. */
export function asRegistryError(error: unknown): unknown {
  if (!(error instanceof RegistryRefusal)) return error;
  return new HeadraceError(
    "REGISTRY_UNEXPECTED",
    {
      message: `The schema registry answers with status ${error.status}: ${error.message}`,
    },
    error,
  );
}

function unknownSchema(id: number, cause: RegistryRefusal): HeadraceError {
  return new HeadraceError(
    "SCHEMA_UNKNOWN",
    {
      message: `The schema registry has no schema with the id ${id}.`,
    },
    cause,
  );
}

function notAvro(id: number, cause?: unknown): HeadraceError {
  return new HeadraceError(
    "RECORD_UNDECODABLE",
    {
      message: `The registry's schema ${id} is not of Headrace's Avro.`,
    },
    cause,
  );
}
