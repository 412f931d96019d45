/** Addresses of the four servers. */
export interface ServerUrls {
  /** Connection string of a replica set. */
  readonly mongodbUri: string;
  /** `host:port`, comma-separated. */
  readonly kafkaBrokers: string;
  /** Base URL of Confluent's API, without a slash at the end. */
  readonly schemaRegistryUrl: string;
  /** Connection string of a user who may create schemas. */
  readonly postgresUrl: string;
}

/** Which environment variable holds which address. */
export const serverVariables: readonly (readonly [keyof ServerUrls, string])[] = [
  ["mongodbUri", "MONGODB_URI"],
  ["kafkaBrokers", "KAFKA_BROKERS"],
  ["schemaRegistryUrl", "SCHEMA_REGISTRY_URL"],
  ["postgresUrl", "POSTGRES_URL"],
];

/** The addresses in the environment. An empty variable counts as not set. */
export function serverUrlsFrom(env: Readonly<Record<string, string | undefined>>): Partial<ServerUrls> {
  const urls: Partial<Record<keyof ServerUrls, string>> = {};
  for (const [key, variable] of serverVariables) {
    const value = env[variable];
    if (value !== undefined && value !== "") urls[key] = value;
  }
  return urls;
}

/** The addresses as environment variables. */
export function serverEnvironment(urls: ServerUrls): Record<string, string> {
  return Object.fromEntries(serverVariables.map(([key, variable]) => [variable, urls[key]]));
}
