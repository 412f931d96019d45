// What the bench's commands have in common.
import { InvalidArgumentError } from "commander";

const startedAt = performance.now();

/** Progress goes to stderr, so that stdout holds the result alone. */
export function report(line: string): void {
  process.stderr.write(`[${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s] ${line}\n`);
}

/** Reads an option: some of the names, comma-separated. */
export function someOf<Name extends string>(names: readonly Name[]): (text: string) => readonly Name[] {
  return (text) => {
    const wanted = text.split(",");
    const unknown = wanted.find((name) => !(names as readonly string[]).includes(name));
    if (unknown === undefined) return wanted as Name[];
    throw new InvalidArgumentError(`There is no ${unknown}; there are ${names.join(", ")}.`);
  };
}

/** Reads an option. */
export function positive(text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  throw new InvalidArgumentError("Give a number above 0.");
}
