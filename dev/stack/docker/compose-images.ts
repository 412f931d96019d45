import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { ServerUrls } from "../server-urls.ts";

/** The image of each server. */
export type ServerImages = Readonly<Record<keyof ServerUrls, string>>;

/** Which service of docker-compose.yml gives which server. */
const services: Readonly<Record<keyof ServerUrls, string>> = {
  mongodbUri: "mongodb",
  kafkaBrokers: "kafka",
  schemaRegistryUrl: "schema-registry",
  postgresUrl: "postgres",
};

/** The images that docker-compose.yml names: the one place that names them. */
export async function composeImages(): Promise<ServerImages> {
  const file = fileURLToPath(new URL("../../../docker-compose.yml", import.meta.url));
  return imagesIn(await readFile(file, "utf8"));
}

/** Reads the servers' images out of the text of a compose file. Throws an error that names what is missing. */
export function imagesIn(composeFile: string): ServerImages {
  const document = parse(composeFile) as { readonly services?: Readonly<Record<string, { image?: unknown } | null>> };
  const missing: string[] = [];
  const images = Object.entries(services).map(([key, service]) => {
    const image = document?.services?.[service]?.image;
    if (typeof image !== "string" || image === "") missing.push(service);
    return [key, image] as const;
  });
  if (missing.length > 0) {
    throw new Error(`docker-compose.yml names no image for ${missing.join(", ")}: give each such service its image.`);
  }
  return Object.fromEntries(images) as ServerImages;
}
