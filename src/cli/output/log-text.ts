const WORDS: Readonly<Record<string, string>> = { warn: "warning" };

/** Fields that a text does without: people see when it is written, and which pipeline they asked for. */
const LEFT_OUT: ReadonlySet<string> = new Set(["time", "pipeline", "attempt", "delayMs"]);

/**
 * Where the log of a command for people goes: each line of JSON becomes a text. A text that repeats the one before is left
 * out, as of retries.
 */
export function textLog(write: (text: string) => void): { write(line: string): void } {
  let last = "";
  return {
    write(line) {
      const text = logText(line);
      if (text !== last) write(text);
      last = text;
    },
  };
}

/** @param line as the logger writes it */
function logText(line: string): string {
  const { level, msg, err, remedy, ...fields } = JSON.parse(line) as LogLine;
  const about = Object.entries(fields)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const parts = [`${WORDS[level] ?? level}: ${msg}${about.length === 0 ? "" : ` (${about.join(", ")})`}`];
  if (err !== undefined) parts.push([err.code, err.message].filter(Boolean).join(": "));
  const advice = remedy ?? err?.remedy;
  return `${parts.join(": ")}\n${advice === undefined ? "" : `  ${advice}\n`}`;
}

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly err?: { readonly code?: string; readonly message?: string; readonly remedy?: string };
  readonly remedy?: string;
  readonly [field: string]: unknown;
}
