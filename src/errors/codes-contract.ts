import type { ErrorTable } from "./error-table.ts";

/** Errors about documents, records and schemas. `codes.ts` says how to add a code. */
export const CONTRACT_ERRORS = {
  MAPPING_INVALID: {
    kind: "fatal",
    meaning: "The columns that the config declares for a collection cannot be used.",
    remedy: "Correct the collection's `columns` in the config.",
  },
  NAME_COLLISION: {
    kind: "fatal",
    meaning: "Kafka cannot tell the topics of two collections apart, or the name of a topic would be too long.",
    remedy: "Leave one of the two collections out, or replicate it in a pipeline with another name.",
  },
  ID_TYPE_MISMATCH: {
    kind: "poison",
    meaning:
      "The `_id` of a document does not have the `_id` type of its collection. The pipeline keeps the type that it found first, even if the collection is dropped, replaced or created again.",
    remedy:
      "Give the document another _id. If the collection has another type of _id from now on, stop the pipeline, run `headrace remove --collection NAME --tables`, and start the pipeline, which copies the collection again. If it has several types from now on, set `idType: mixed` in its config before you start.",
  },
  KEY_INVALID: {
    kind: "poison",
    meaning: "The `_id` of a document cannot be a key, for example because it contains a NUL character.",
    remedy:
      "Give the document another _id, then close the dead letter with `headrace dlq discard ID`. Or leave its collection out of the pipeline.",
  },
  DOCUMENT_UNENCODABLE: {
    kind: "poison",
    meaning:
      "A document cannot be written as a record: it is too large, nested too deeply, or not well-formed BSON, or it contains a NUL character and `documents.nulCharacters` is `dead-letter`.",
    remedy: "Change the document in MongoDB, or leave its collection out of the pipeline.",
  },
  KEY_UNDECODABLE: {
    kind: "poison",
    meaning: "The key of a record in a collection's topic was not written by Headrace.",
    remedy:
      "Find out which other program writes to the topic. Close the dead letter with `headrace dlq discard`, and compare the table with `headrace verify`.",
  },
  RECORD_UNDECODABLE: {
    kind: "poison",
    meaning: "A record in a collection's topic was not written by Headrace.",
    remedy:
      "Find out which other program writes to the topic. Close the dead letter with `headrace dlq discard`, and compare the table with `headrace verify`.",
  },
  SCHEMA_REFUSED: {
    kind: "fatal",
    meaning:
      "The schema registry refuses the schema of a collection because it is not compatible with the registered one.",
    remedy:
      "Give the changed column another name, or change it back to its old type. To use the new type, stop the pipeline, run `headrace remove --collection NAME --tables`, and start the pipeline, which copies the collection again.",
  },
  SCHEMA_UNKNOWN: {
    kind: "retryable",
    meaning:
      "The schema registry does not have the schema whose id is in a record. A replica of the registry may be behind, so Headrace tries again for a while. Then the error is fatal.",
    remedy:
      "Check that producer and consumer use the same registry, and that the registry has not lost data. If the schema was deleted, restore it under its id.",
  },
  REGISTRY_UNAVAILABLE: {
    kind: "retryable",
    meaning: "The schema registry cannot be reached, or it is overloaded or failing.",
    remedy: "Check that the schema registry is running and that schemaRegistry.url is correct, also http or https.",
  },
  REGISTRY_TLS_FAILED: {
    kind: "fatal",
    meaning: "No TLS connection to the schema registry is possible. The message gives the reason.",
    remedy:
      "Correct schemaRegistry.url (http or https, the host name in the certificate). If an authority of your own signed the certificate, set NODE_EXTRA_CA_CERTS to the authority's PEM file in Headrace's environment.",
  },
  REGISTRY_LOGIN_FAILED: {
    kind: "fatal",
    meaning: "The schema registry refuses the user or the password (HTTP status 401).",
    remedy: "Correct schemaRegistry.auth.",
  },
  REGISTRY_FORBIDDEN: {
    kind: "fatal",
    meaning: "The schema registry's user lacks a right (HTTP status 403). The message names the request.",
    remedy: "Grant the user of schemaRegistry.auth this right on the subjects that begin with the pipeline's name.",
  },
  REGISTRY_UNEXPECTED: {
    kind: "fatal",
    meaning: "The schema registry refuses the request, or the server at its address is not a schema registry.",
    remedy: "Look in the registry's log. Headrace needs version 1 of Confluent's API.",
  },
  SIGNAL_INVALID: {
    kind: "usage",
    meaning:
      "A signal, its filter or one of its ids is not valid. The producer skips an invalid record in the signals topic.",
    remedy: "Write filter and ids as Extended JSON, and send signals with `headrace snapshot` and `headrace resync`.",
  },
  POSITION_INVALID: {
    kind: "fatal",
    meaning: "The producer cannot read its stored position.",
    remedy:
      "If a newer version of Headrace wrote it, use that version. Otherwise delete the pipeline's positions topic; the producer then starts with a new snapshot of every collection.",
  },
} as const satisfies ErrorTable;
