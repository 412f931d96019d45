import { HeadraceError } from "../errors/error.ts";

/** One thing that is wrong in a config. */
export interface Mistake {
  /** Where, as keys and list indices from the top. */
  readonly path: readonly PropertyKey[];
  /** What is wrong with what was found there, and what is allowed. */
  readonly message: string;
  /** Line in the file, from 1; unknown where the thing is not in the file. */
  readonly line?: number | undefined;
}

/** A config that cannot be used, with every mistake in it. */
export function configInvalid(file: string, mistakes: readonly Mistake[], cause?: unknown): HeadraceError {
  const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  const lines = mistakes.map((mistake) => `  ${describeMistake(mistake)}`);
  return new HeadraceError(
    "CONFIG_INVALID",
    {
      message: `${file} has ${count}:\n${lines.join("\n")}`,
      remedy: `Correct ${file}; docs/configuration.md describes every key.`,
    },
    cause,
  );
}

function describeMistake({ path, message, line }: Mistake): string {
  const place = [line === undefined ? "" : `line ${line}`, pathText(path)].filter((part) => part !== "").join(", ");
  return place === "" ? message : `${place}: ${message}`;
}

/** `collections["a b"].columns.sku`, `kafka.brokers[0]`. */
function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[\w$-]+$/.test(String(key))) text += text === "" ? String(key) : `.${String(key)}`;
    else text += `[${JSON.stringify(String(key))}]`;
  }
  return text;
}
