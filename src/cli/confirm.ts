import { createInterface } from "node:readline/promises";

/** Asks a question on the terminal. @returns whether the answer is `yes`; false, with a text on stderr, without a terminal */
export async function isConfirmed(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    process.stderr.write(
      "error: cannot ask for confirmation, because stdin is not a terminal; give --yes to confirm\n",
    );
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} Type yes: `, { signal })) === "yes";
  } finally {
    terminal.close();
  }
}
