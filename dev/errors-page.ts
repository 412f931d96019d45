import { CONTRACT_ERRORS } from "../src/errors/codes-contract.ts";
import { KAFKA_ERRORS } from "../src/errors/codes-kafka.ts";
import { MONGODB_ERRORS } from "../src/errors/codes-mongodb.ts";
import { POSTGRES_ERRORS } from "../src/errors/codes-postgres.ts";
import { PIPELINE_ERRORS } from "../src/errors/codes.ts";
import type { ErrorEntry, ErrorKind, ErrorTable } from "../src/errors/error-table.ts";

/** All error codes, by subject. */
export const ERROR_SECTIONS: Readonly<Record<string, ErrorTable>> = {
  "The pipeline": PIPELINE_ERRORS,
  MongoDB: MONGODB_ERRORS,
  Kafka: KAFKA_ERRORS,
  PostgreSQL: POSTGRES_ERRORS,
  "Documents, records and schemas": CONTRACT_ERRORS,
};

const KINDS: Readonly<Record<ErrorKind, string>> = {
  retryable: "retryable",
  poison: "poison: only this record or signal fails",
  fatal: "fatal: exit code 1",
  usage: "usage: exit code 2",
};

const INTRODUCTION = `# Errors

<!-- Made by \`node dev/generate-docs.ts\` from the tables of codes in src/; change them there. -->

Every error has a code, a message that says what happened, and a remedy that says what to do. This page explains the codes
and gives the general remedy; the error itself is often more precise, for example with the SQL statement to run. You find the
code in the log (\`err.code\`), in the metric \`headrace_retries_total\` (retryable errors) and in a dead letter's header \`headrace.code\`.

| kind | what Headrace does |
| --- | --- |
| retryable | The commands run, produce and consume try again after growing pauses, until it succeeds; at startup they give up after a minute. Other commands end with exit code 1: try again later. |
| poison | Only this record or this signal fails. The record becomes a dead letter, and the signal is skipped. All others are handled. |
| fatal | The process stops with exit code 1 and commits nothing more. What it committed before stays valid. After the remedy, a restart resumes there. |
| usage | A mistake in the command line or in the config. The process exits with code 2 and has changed nothing. |
`;

export function errorsPage(): string {
  const sections = Object.entries(ERROR_SECTIONS).map(([title, table]) => {
    const entries = Object.entries(table).map(([code, entry]) => describe(code, entry));
    return [`## ${title}`, ...entries].join("\n\n");
  });
  return `${[INTRODUCTION.trimEnd(), ...sections].join("\n\n")}\n`;
}

function describe(code: string, { kind, meaning, remedy }: ErrorEntry): string {
  return `### ${code}\n\n_${KINDS[kind]}_\n\n${meaning}\n\n**What to do:** ${remedy}`;
}
