import { CONTRACT_ERRORS } from "./codes-contract.ts";
import { KAFKA_ERRORS } from "./codes-kafka.ts";
import { MONGODB_ERRORS } from "./codes-mongodb.ts";
import { POSTGRES_ERRORS } from "./codes-postgres.ts";
import type { ErrorTable } from "./error-table.ts";

/**
 * To add a code: give it an entry here or in the table of its server (`codes-mongodb.ts`, `codes-kafka.ts`,
 * `codes-postgres.ts`; documents, records and schemas: `codes-contract.ts`), raise it with
 * `new HeadraceError("THE_CODE", { message })`, and run `npm run docs`. A code without an entry does not compile. `kind` and
 * `remedy` are given where it is thrown only if they depend on what is known there.
 */
export const PIPELINE_ERRORS = {
  CATCH_UP_TIMEOUT: {
    kind: "retryable",
    meaning: "A command waited for the pipeline to be up to a time of the source, and it was not in time.",
    remedy: "Check that it is running (headrace status shows how far it is), or allow more time.",
  },
  CHECKS_FAILED: {
    kind: "fatal",
    meaning:
      "Several things are not as the command needs them; the message names each. If servers that cannot be reached are all that is wrong, it has been tried for a minute first.",
    remedy: "Mend what the message names; `headrace check` looks again.",
  },
  COLLECTION_NOT_REPLICATED: {
    kind: "usage",
    meaning: "A command was given a collection that the pipeline does not replicate.",
    remedy: "Give --collection a name that `collections` in the config, or the database, has.",
  },
  CONFIG_INVALID: {
    kind: "usage",
    meaning: "The config cannot be read or used. Every mistake in it is named with its line and its place.",
    remedy: "Correct the file; docs/configuration.md describes every key.",
  },
  DEAD_LETTER_WINDOW: {
    kind: "fatal",
    meaning:
      "More of the last records than `deadLetters.window` allows could not be applied. Something general is wrong, and a wrong table must not empty a topic into the dead letters.",
    remedy:
      "Look at the cause and at `headrace dlq list`: mend the table or the config, start again, then replay the dead letters.",
  },
  HTTP_UNAVAILABLE: {
    kind: "fatal",
    meaning: "The port for metrics and health cannot be listened at.",
    remedy: "Choose a free port in the config's http.port.",
  },
  PIPELINE_RUNNING: {
    kind: "retryable",
    meaning: "A pipeline, or a collection of it, is to be removed while a process of it runs.",
    remedy:
      "Stop the pipeline's processes first. A consumer that was killed counts as a member until its session times out.",
  },
  SIGNAL_FAILED: {
    kind: "poison",
    meaning:
      "MongoDB could not read what a signal's filter asks for. The producer leaves the signal undone and goes on; it says so in its log.",
    remedy: "Look at the cause, and send `headrace snapshot` with another filter.",
  },
  TLS_FILE_UNREADABLE: {
    kind: "fatal",
    meaning: "A file that kafka.ssl names cannot be read.",
    remedy: "Correct kafka.ssl in the config.",
  },
  UNKNOWN_DEAD_LETTER: {
    kind: "fatal",
    meaning: "There is no dead letter of the id that a command was given.",
    remedy: "Give an id as `headrace dlq list` prints it: topic/partition/offset.",
  },
  UNKNOWN_ERROR: {
    kind: "fatal",
    meaning:
      "Something failed that Headrace does not know. It stops, as going on in an unknown state could lose data; what was committed before is not affected.",
    remedy: "Start again; should it come back, report it with the cause that the log shows.",
  },
} as const satisfies ErrorTable;

/** Every code of a HeadraceError. */
export const ERRORS = {
  ...PIPELINE_ERRORS,
  ...CONTRACT_ERRORS,
  ...MONGODB_ERRORS,
  ...KAFKA_ERRORS,
  ...POSTGRES_ERRORS,
};

export type ErrorCode = keyof typeof ERRORS;
