/** One thing that is wrong in a config. */
export interface Mistake {
  /** Where, as keys and list indices from the top. */
  readonly path: readonly PropertyKey[];
  /** What is wrong with what was found there, and what is allowed. */
  readonly message: string;
  /** Line in the file, from 1; unknown where the thing is not in the file. */
  readonly line?: number | undefined;
}

/** What docs/errors.md says of a ConfigError's code. */
export const CONFIG_ERRORS = {
  CONFIG_INVALID: {
    kind: "usage",
    meaning: "The config cannot be read or used. Every mistake in it is named with its line and its place.",
    remedy: "Correct the file; docs/configuration.md describes every key.",
  },
} as const;

/** A config that cannot be used, with every mistake in it. The process ends with exit code 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "CONFIG_INVALID";
  readonly kind = CONFIG_ERRORS.CONFIG_INVALID.kind;
  readonly remedy: string;
  readonly mistakes: readonly Mistake[];

  constructor(file: string, mistakes: readonly Mistake[], cause?: unknown) {
    const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
    const lines = mistakes.map((mistake) => `  ${describeMistake(mistake)}`);
    super(`${file} has ${count}:\n${lines.join("\n")}`, cause === undefined ? undefined : { cause });
    this.remedy = `correct ${file}; every key is described in docs/configuration.md`;
    this.mistakes = mistakes;
  }
}

function describeMistake({ path, message, line }: Mistake): string {
  const place = [line === undefined ? "" : `line ${line}`, pathText(path)].filter((part) => part !== "").join(", ");
  return place === "" ? message : `${place}: ${message}`;
}

/** `collections["a b"].columns.sku`, `kafka.brokers[0]`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[\w$-]+$/.test(String(key))) text += text === "" ? String(key) : `.${String(key)}`;
    else text += `[${JSON.stringify(String(key))}]`;
  }
  return text;
}
