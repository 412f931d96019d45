import type { ErrorTable } from "./error-table.ts";

/** What goes wrong with documents, records and schemas. How to add a code stands in `codes.ts`. */
export const CONTRACT_ERRORS = {
  MAPPING_INVALID: {
    kind: "fatal",
    meaning: "The columns of a collection, as the config gives them, are not possible.",
    remedy: "Change the collection's columns in the config.",
  },
  NAME_COLLISION: {
    kind: "fatal",
    meaning: "The topics of two collections would have one name for Kafka, or a topic's name would be too long.",
    remedy: "Leave one of the two out, or replicate it in a pipeline of another name.",
  },
  ID_TYPE_MISMATCH: {
    kind: "poison",
    meaning:
      "The `_id` of a document is of another type than those that the collection had at first; the type is kept, also when the collection is dropped, replaced or made again.",
    remedy:
      "Give the document another _id. Or, where the collection has another type from now on (or several: declare `idType: mixed`), remove it from the pipeline with its topic, the topic's two registry subjects and its table, and begin it anew.",
  },
  KEY_INVALID: {
    kind: "poison",
    meaning: "The `_id` of a document cannot be a key, such as text with a NUL in it.",
    remedy: "Give the document another _id, or leave it out of the pipeline.",
  },
  DOCUMENT_UNENCODABLE: {
    kind: "poison",
    meaning: "A document cannot become a record of its topic: it is too large, nested too deeply, or not well-formed.",
    remedy: "Change the document in MongoDB, or leave its collection out.",
  },
  KEY_UNDECODABLE: {
    kind: "poison",
    meaning: "A record of a collection's topic has a key that is not one that Headrace writes.",
    remedy: "Find out which other program writes to the topic; discard the dead letter, or repair the table.",
  },
  RECORD_UNDECODABLE: {
    kind: "poison",
    meaning: "A record of a collection's topic is not one that Headrace writes.",
    remedy: "Find out which other program writes to the topic; discard the dead letter, or repair the table.",
  },
  SCHEMA_REFUSED: {
    kind: "fatal",
    meaning: "The schema registry refuses a collection's schema, as it is not compatible with the one it has.",
    remedy:
      "Give the changed column another name, or give its old type back; or use another pipeline name and begin anew.",
  },
  SCHEMA_UNKNOWN: {
    kind: "retryable",
    meaning:
      "The schema registry has no schema with the id that a record names. As registries are replicated, it is asked again for a while; then the error is fatal.",
    remedy:
      "Check that producer and consumer use one registry, and that it has kept its data; bring the schema back under its id if it was deleted.",
  },
  REGISTRY_UNAVAILABLE: {
    kind: "retryable",
    meaning: "The schema registry cannot be reached or does not answer as it should for the moment.",
    remedy: "Check that the schema registry is up and its address right.",
  },
  REGISTRY_UNEXPECTED: {
    kind: "fatal",
    meaning: "What answers at the schema registry's address refuses the request, or is no schema registry.",
    remedy: "Look into the registry's log; Headrace needs its Confluent API (v1).",
  },
  SIGNAL_INVALID: {
    kind: "usage",
    meaning:
      "A signal, or the filter or an id of one, is not such as Headrace knows. A record like that in the signals topic is skipped.",
    remedy: "Give filter and ids as Extended JSON, and send signals with `headrace snapshot` and `headrace resync`.",
  },
  POSITION_INVALID: {
    kind: "fatal",
    meaning: "The producer's stored position cannot be read.",
    remedy:
      "A newer version of Headrace may have written it: use that one. Else delete the pipeline's positions topic, which begins with a new snapshot.",
  },
} as const satisfies ErrorTable;
