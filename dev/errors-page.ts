import { CONTRACT_ERRORS } from "../src/errors/codes-contract.ts";
import { KAFKA_ERRORS } from "../src/errors/codes-kafka.ts";
import { MONGODB_ERRORS } from "../src/errors/codes-mongodb.ts";
import { POSTGRES_ERRORS } from "../src/errors/codes-postgres.ts";
import { PIPELINE_ERRORS } from "../src/errors/codes.ts";
import type { ErrorEntry, ErrorKind, ErrorTable } from "../src/errors/error-table.ts";

/** Every code that an error of Headrace can have, by what it is about. */
export const ERROR_SECTIONS: Readonly<Record<string, ErrorTable>> = {
  "The pipeline": PIPELINE_ERRORS,
  MongoDB: MONGODB_ERRORS,
  Kafka: KAFKA_ERRORS,
  PostgreSQL: POSTGRES_ERRORS,
  "Documents, records and schemas": CONTRACT_ERRORS,
};

const KINDS: Readonly<Record<ErrorKind, string>> = {
  retryable: "retryable",
  poison: "poison: a dead letter",
  fatal: "fatal: exit code 1",
  usage: "usage: exit code 2",
};

const INTRODUCTION = `# Errors

<!-- Made by \`node dev/generate-docs.ts\` from the tables of codes in src/; change them there. -->

Every error of Headrace has a code, says what has happened and what to do, and names its cause. The log has it under \`err\`,
\`headrace_retries_total\` counts what is retryable by code, a dead letter has it in the header \`headrace.code\`. What to do is said here in general;
where an error knows better, such as the statement to run, it says so itself.

| kind | what Headrace does |
| --- | --- |
| retryable | It tries again, with pauses that grow, and goes on by itself. At a start, and in commands that answer a question, only for a time: then the exit code is 1. |
| poison | One record cannot be applied: it becomes a dead letter, and everything else goes on. |
| fatal | It stops with exit code 1, and commits nothing more. What was committed stays valid, and after the remedy a start goes on there. |
| usage | A mistake in the usage or the config: exit code 2, and nothing has been done. |
`;

export function errorsPage(): string {
  const sections = Object.entries(ERROR_SECTIONS).map(([title, table]) => {
    const entries = Object.entries(table).map(([code, entry]) => describe(code, entry));
    return [`## ${title}`, ...entries].join("\n\n");
  });
  return `${[INTRODUCTION, ...sections].join("\n")}\n`.replaceAll("\n\n\n", "\n\n");
}

function describe(code: string, { kind, meaning, remedy }: ErrorEntry): string {
  return `### ${code}\n\n_${KINDS[kind]}_\n\n${meaning}\n\n**What to do:** ${remedy}`;
}
