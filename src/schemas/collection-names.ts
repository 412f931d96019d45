import { TopicNames } from "./topics.ts";

/**
 * Takes a collection's name for a pipeline of a whole database, whose tables have the names of the collections.
 * @returns why that is not possible; null if the name is taken now, or was before
 */
export type ClaimName = (collection: string) => string | null;

/** PostgreSQL truncates longer names without an error. */
const MAX_IDENTIFIER_BYTES = 63;

/**
 * @param established collections that the pipeline has already, those that the config names or that have a topic: if a new
 * one cannot be beside one of them, the new one is refused
 */
export function claimNames(name: string, database: string, established: Iterable<string>): ClaimName {
  const topics = new TopicNames(name, database);
  const claim: ClaimName = (collection) => {
    const complaint = identifierComplaint(collection);
    if (complaint !== null) return `its name cannot be the table's name because it ${complaint}`;
    return topics.claim(collection)?.message ?? null;
  };
  for (const collection of established) topics.claim(collection);
  return claim;
}

/** Why a text cannot be the name of a table; null if it can. */
export function identifierComplaint(name: string): string | null {
  if (name === "") return "is empty";
  if (name.includes("\0")) return "contains a NUL character";
  const bytes = Buffer.byteLength(name);
  return bytes > MAX_IDENTIFIER_BYTES ? `has ${bytes} bytes; PostgreSQL allows at most ${MAX_IDENTIFIER_BYTES}` : null;
}
