import { CONTRACT_ERRORS } from "./codes-contract.ts";
import { KAFKA_ERRORS } from "./codes-kafka.ts";
import { MONGODB_ERRORS } from "./codes-mongodb.ts";
import { POSTGRES_ERRORS } from "./codes-postgres.ts";
import type { ErrorTable } from "./error-table.ts";

/**
 * Errors of the pipeline as a whole.
 *
 * To add a code: add an entry here or to the table of its server (`codes-mongodb.ts`, `codes-kafka.ts`,
 * `codes-postgres.ts`; for documents, records and schemas `codes-contract.ts`), throw it with
 * `new HeadraceError("THE_CODE", { message })`, and run `npm run docs`. A code without an entry does not compile. Give
 * `kind` or `remedy` where you throw it only if they depend on what is known there.
 */
export const PIPELINE_ERRORS = {
  CATCH_UP_TIMEOUT: {
    kind: "retryable",
    meaning: "A command waited until the pipeline had caught up with MongoDB, and its time ran out.",
    remedy: "Check with `headrace status` that the pipeline is running and makes progress, or allow more time.",
  },
  CHECKS_FAILED: {
    kind: "fatal",
    meaning:
      "Several checks failed before the command could start. The message names each one. If servers could not be reached, and nothing else was wrong, the command tried again for a minute first.",
    remedy: "Correct what the message names. `headrace check` runs the checks again.",
  },
  COLLECTION_NOT_REPLICATED: {
    kind: "usage",
    meaning: "A command got the name of a collection that the pipeline does not replicate.",
    remedy:
      "Give --collection a name from `collections` in the config or, if the config lists none, a name from the database.",
  },
  CONFIG_INVALID: {
    kind: "usage",
    meaning: "The config file cannot be read or is not valid. The message lists every mistake with its line and key.",
    remedy: "Correct the file. docs/configuration.md describes every key.",
  },
  DEAD_LETTER_WINDOW: {
    kind: "fatal",
    meaning:
      "More of the latest records became dead letters than `deadLetters.window` allows. The cause is probably not a single record, for example a table or an `_id` type that does not fit. So the producer or the consumer stops before everything becomes dead letters.",
    remedy:
      "The log names the last failure, and `headrace dlq list` shows those before. Correct the documents, the table or the config, start the process again, then run `headrace dlq replay`. If that many are acceptable, raise deadLetters.window.max.",
  },
  DEAD_LETTER_CLOSED: {
    kind: "fatal",
    meaning: "`dlq replay` or `discard` got the id of a dead letter that was replayed, superseded or discarded before.",
    remedy:
      "`headrace dlq list` shows the open ones. To copy the document of a closed one again, run `headrace snapshot --collection NAME --ids ID`.",
  },
  HTTP_UNAVAILABLE: {
    kind: "fatal",
    meaning: "Headrace cannot listen on the port for metrics and health checks.",
    remedy: "Set http.port in the config to a free port.",
  },
  NOTHING_TO_REMOVE: {
    kind: "usage",
    meaning:
      "`headrace remove` finds nothing of the pipeline or collection in any server: it was removed, or has never run.",
    remedy: "Check `name` and `mongodb.database` in the config, and the name after --collection.",
  },
  PIPELINE_RUNNING: {
    kind: "retryable",
    meaning:
      "`headrace remove` cannot remove a pipeline or a collection while a process of the pipeline is running, and `headrace take-over` cannot give its tables to another owner.",
    remedy:
      "Stop the pipeline's processes, then try again. A consumer that was killed counts as running until its session times out (kafka.sessionTimeoutMs).",
  },
  SIGNAL_FAILED: {
    kind: "poison",
    meaning:
      "MongoDB could not run the filter of a snapshot signal. The producer logs the error, skips the signal and continues.",
    remedy: "Look at the cause in the producer's log, and run `headrace snapshot` again with another filter.",
  },
  TLS_FILE_UNREADABLE: {
    kind: "fatal",
    meaning: "Headrace cannot read a file that kafka.ssl, mongodb.uri or postgres.url names.",
    remedy: "Correct the path in the config, or the file's permissions.",
  },
  UNKNOWN_DEAD_LETTER: {
    kind: "fatal",
    meaning: "There is no dead letter with the given id.",
    remedy:
      "Give an id as `headrace dlq list` prints it: topic/partition/offset, with @ and some digits behind it where the topic was created again since.",
  },
  UNKNOWN_TABLE: {
    kind: "usage",
    meaning: "`headrace dlq --table` got a table that no collection of the config and no dead letter has.",
    remedy: "Give --table a table as `headrace dlq list` prints it.",
  },
  UNKNOWN_ERROR: {
    kind: "fatal",
    meaning:
      "An error occurred that Headrace does not know. Headrace stops, because continuing in an unknown state could lose data. Everything that it committed before is safe.",
    remedy: "Start it again. If the error comes back, report it with the cause from the log.",
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
