import { setTimeout as sleep } from "node:timers/promises";
import { SchemaRegistry as Client, COMPATIBILITY, SchemaType } from "@kafkajs/confluent-schema-registry";
import type { Type } from "avsc";
import { HeadraceError } from "../../errors/error.ts";
import { avroType, isAvroType } from "../formats/avro-type.ts";
import type { RegisteredDefinitions } from "../mapping/collection-schema.ts";
import { type AvroRecord, idTypeOfKey } from "../mapping/envelope.ts";
import type { IdType } from "../mapping/mapping.ts";
import { requireCompatibility } from "./compatibility.ts";
import { RegistryRefusal, RegistryTransport, type SchemaRegistryOptions } from "./transport.ts";

/** A schema as the registry holds it. */
export interface RegisteredSchema {
  readonly id: number;
  /** As it was registered, with Headrace's own properties. Another program's schema may have any shape. */
  readonly definition: unknown;
  /** Longs are bigint. The same object for the same id. */
  readonly type: Type;
}

/**
 * Registers and fetches schemas. Every method throws HeadraceError: REGISTRY_UNAVAILABLE (retryable) if the registry
 * cannot be reached, is overloaded or has failed; REGISTRY_UNEXPECTED if it refuses the request for another reason,
 * such as wrong credentials. Nothing of that is retried here.
 */
export interface SchemaRegistry {
  /**
   * Returns the id of the schema under the subject. A new subject is registered with compatibility BACKWARD.
   * @throws HeadraceError SCHEMA_REFUSED if the schema is not compatible with the subject's earlier ones
   */
  register(subject: string, definition: AvroRecord): Promise<number>;
  /** The newest schema of a subject; undefined if the subject has none. */
  latest(subject: string): Promise<RegisteredSchema | undefined>;
  /**
   * @throws HeadraceError SCHEMA_UNKNOWN if the registry has no such id; RECORD_UNDECODABLE if the schema is not Avro
   */
  schema(id: number): Promise<RegisteredSchema>;
  /** A schema that `schema`, `latest` or `register` has fetched before; undefined if none has. Sends no request. */
  cached(id: number): RegisteredSchema | undefined;
}

/**
 * The `_id` type that a topic's keys are registered with; undefined if nothing is registered.
 * @throws HeadraceError from the registry
 */
export async function registeredIdType(registry: SchemaRegistry, topic: string): Promise<IdType | undefined> {
  const registered = await registry.latest(`${topic}-key`);
  return idTypeOfKey(registered?.definition);
}

/**
 * What a collection's schemas must be compatible with.
 * @throws HeadraceError from the registry
 */
export async function registeredDefinitions(registry: SchemaRegistry, topic: string): Promise<RegisteredDefinitions> {
  const [key, value] = await Promise.all([registry.latest(`${topic}-key`), registry.latest(`${topic}-value`)]);
  return { key: key?.definition, value: value?.definition };
}

/** @throws HeadraceError REGISTRY_UNEXPECTED if `url` is not an HTTP URL */
export function createSchemaRegistry(options: SchemaRegistryOptions): SchemaRegistry {
  const transport = new RegistryTransport(options);
  const definitions = new WeakMap<Type, unknown>();
  const client = new Client(
    { host: transport.url, middlewares: [throughTransport(transport)] },
    {
      [SchemaType.AVRO]: {
        // avsc's types lose the properties that it does not know, such as the names and types of columns.
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
    // Two simultaneous requests get a type each. Everybody uses the first one.
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
        throw error;
      });
      return id === undefined ? undefined : await schema(id);
    },
    schema,
    cached: (id) => known.get(id),
  };
}

type ClientMiddleware = NonNullable<ConstructorParameters<typeof Client>[0]["middlewares"]>[number];
type ClientResponse = Awaited<ReturnType<NonNullable<ReturnType<ClientMiddleware>["response"]>>>;

/**
 * Sends the client's requests through our transport in place of the client's own HTTP.
 *
 * The client sets a new subject's compatibility after its first schema. If it was interrupted between the two, the
 * subject has no compatibility: Confluent's registry then answers 404, but Apicurio NONE, which the client takes for
 * a setting. Answering 404 in both cases makes the client set it.
 */
function throughTransport(transport: RegistryTransport): ClientMiddleware {
  return () => ({
    async response(_next, _renew, request) {
      const body: unknown = request.body();
      const method = request.method().toUpperCase();
      const answer = await transport
        .send(method, request.url(), typeof body === "string" ? body : null)
        .catch((error: unknown) => withoutRight(error, method, request.url(), transport));
      if (answer["compatibilityLevel"] === "NONE") throw new RegistryRefusal(404, "no compatibility is set");
      // The client uses nothing else of a response.
      return { data: () => answer } as unknown as ClientResponse;
    },
  });
}

/** A user who may not set a subject's compatibility need not, if the registry's own level is sufficient. */
async function withoutRight(
  error: unknown,
  method: string,
  url: string,
  transport: RegistryTransport,
): Promise<Readonly<Record<string, unknown>>> {
  const [, subject] = /\/config\/([^/]+)$/.exec(url) ?? [];
  const isForbidden = error instanceof HeadraceError && error.code === "REGISTRY_FORBIDDEN";
  if (method !== "PUT" || subject === undefined || !isForbidden) throw error;
  await requireCompatibility(transport, decodeURIComponent(subject));
  return {};
}

/** How often a refused schema is sent, and the pause after the first refusal. */
const REGISTER_TRIES = 3;
const REGISTER_PAUSE_MS = 100;

/**
 * When two processes register a new subject at the same time, Apicurio answers the later one as if the schema were
 * incompatible. It accepts the schema when it is sent again.
 */
async function register(client: Client, subject: string, definition: AvroRecord): Promise<number> {
  const schema = { type: SchemaType.AVRO, schema: JSON.stringify(definition) } as const;
  for (let tries = 1; ; tries++) {
    try {
      const { id } = await client.register(schema, { subject, compatibility: COMPATIBILITY.BACKWARD });
      return id;
    } catch (error) {
      const refusal = refusalOf(subject, error);
      if (refusal === undefined) throw error;
      if (tries === REGISTER_TRIES) throw refusal;
      await sleep(REGISTER_PAUSE_MS * tries);
    }
  }
}

async function fetchType(client: Client, id: number): Promise<Type> {
  let schema: unknown;
  try {
    schema = await client.getSchema(id);
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 404) throw unknownSchema(id, error);
    throw error instanceof HeadraceError ? error : notAvro(id, error);
  }
  if (!isAvroType(schema)) throw notAvro(id);
  return schema;
}

/** SCHEMA_REFUSED if the registry, or the client for it, refused the schema; undefined if the error is another one. */
function refusalOf(subject: string, error: unknown): HeadraceError | undefined {
  if (error instanceof RegistryRefusal && (error.status === 409 || error.status === 422)) {
    return new HeadraceError(
      "SCHEMA_REFUSED",
      { message: `The schema registry refused the schema of subject ${subject}: ${error.reason}` },
      error,
    );
  }
  if (error instanceof Error && error.name === "ConfluentSchemaRegistryCompatibilityError") {
    return new HeadraceError(
      "SCHEMA_REFUSED",
      {
        message: `The schema registry has another compatibility for subject ${subject}: ${error.message}`,
        remedy: `Set the compatibility of ${subject} to BACKWARD, or delete the subject's own setting.`,
      },
      error,
    );
  }
  return undefined;
}

function unknownSchema(id: number, cause: RegistryRefusal): HeadraceError {
  return new HeadraceError("SCHEMA_UNKNOWN", { message: `The schema registry has no schema with id ${id}.` }, cause);
}

function notAvro(id: number, cause?: unknown): HeadraceError {
  return new HeadraceError(
    "RECORD_UNDECODABLE",
    { message: `The registry's schema ${id} is not an Avro schema that Headrace can read.` },
    cause,
  );
}
