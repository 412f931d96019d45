import * as z from "zod";
import { REDACTION_ACTIONS } from "../schemas/mapping/mapping.ts";
import type { CollectionMapping, Redaction, RedactionRules } from "../schemas/mapping/mapping.ts";
import { byName, namedEntries } from "./columns-schema.ts";

// `phone: null` without quotes is null in YAML.
const redaction = z
  .preprocess((value) => value ?? "null", z.enum(REDACTION_ACTIONS))
  .describe("What becomes of the field.");

export const redactShape = byName(z.record(z.string().min(1), redaction)).describe(
  "Fields whose values do not leave MongoDB as they are, by path, with dots between the names. A path leads through arrays, into each element. `drop`: the field is left out. `null`: it is null. `hash`: in its place is the HMAC-SHA-256 of its value, made with `documents.hashKey`; in an array or document, of each value in it. Neither Kafka nor PostgreSQL nor the logs ever have the values.",
);

type RedactInput = Record<string, Redaction["action"]>;

/** Without the key, which follows when the whole config is read. */
export function redactionRules(input: RedactInput): RedactionRules {
  return {
    redactions: namedEntries(input).map(([path, action]) => ({ path: path.split("."), action })),
    hashKey: "",
  };
}

export function hasHashes(input: RedactInput | undefined): boolean {
  return Object.values(input ?? {}).includes("hash");
}

/** A mapping with the key of its hashes, if it has any. */
export function withHashKey(mapping: CollectionMapping, hashKey: string): CollectionMapping {
  const { redaction } = mapping;
  const isHashed = redaction?.redactions.some(({ action }) => action === "hash") === true;
  return isHashed ? { ...mapping, redaction: { ...redaction, hashKey } } : mapping;
}

/** The redactions; undefined if any was found invalid. */
export function parsedRedactions(input: unknown): RedactInput | undefined {
  const parsed = redactShape.safeParse(input);
  return parsed.success ? parsed.data : undefined;
}
