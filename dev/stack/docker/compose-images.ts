import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { ServerUrls } from "../server-urls.ts";

/** The image of each server. */
export type ServerImages = Readonly<Record<keyof ServerUrls, string>>;

/** The service of each server in docker-compose.yml. */
const services: Readonly<Record<keyof ServerUrls, string>> = {
  mongodbUri: "mongodb",
  kafkaBrokers: "kafka",
  schemaRegistryUrl: "schema-registry",
  postgresUrl: "postgres",
};

/** Reads the images from docker-compose.yml, the only place that names them. */
export async function composeImages(): Promise<ServerImages> {
  const file = fileURLToPath(new URL("../../../docker-compose.yml", import.meta.url));
  return imagesIn(await readFile(file, "utf8"));
}

/** Reads the servers' images from the text of a compose file. @throws Error that names the services without one */
export function imagesIn(composeFile: string): ServerImages {
  const document = parse(composeFile) as { readonly services?: Readonly<Record<string, { image?: unknown } | null>> };
  const missing: string[] = [];
  const images = Object.entries(services).map(([key, service]) => {
    const image = document?.services?.[service]?.image;
    if (typeof image !== "string" || image === "") missing.push(service);
    return [key, image] as const;
  });
  if (missing.length > 0) {
    throw new Error(`docker-compose.yml has no image for ${missing.join(", ")}. Add one to each of these services.`);
  }
  return Object.fromEntries(images) as ServerImages;
}
