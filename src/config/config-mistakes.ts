import { HeadraceError } from "../errors/error.ts";

/** One mistake in a config. */
export interface Mistake {
  /** Keys and list indices from the top. */
  readonly path: readonly PropertyKey[];
  /** What is wrong there, and what is expected. */
  readonly message: string;
  /** Line in the file, from 1; undefined if the file does not contain the path. */
  readonly line?: number | undefined;
}

/** CONFIG_INVALID with every mistake in the config. */
export function configInvalid(file: string, mistakes: readonly Mistake[], cause?: unknown): HeadraceError {
  const count = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  const lines = mistakes.map((mistake) => `  ${describeMistake(mistake)}`);
  return new HeadraceError(
    "CONFIG_INVALID",
    {
      message: `${file} has ${count}:\n${lines.join("\n")}`,
      remedy: `Correct ${file}. docs/configuration.md describes every key.`,
    },
    cause,
  );
}

function describeMistake({ path, message, line }: Mistake): string {
  const place = [line === undefined ? "" : `line ${line}`, pathText(path)].filter((part) => part !== "").join(", ");
  return place === "" ? message : `${place}: ${message}`;
}

/** Without a space after its colon, `password:secret` is a key. So is an address without its key. */
function hideValue(key: string): string {
  return /[:@]/.test(key) ? `${/^[^:@]*/.exec(key.includes(":") ? key : "")?.[0] ?? ""}…` : key;
}

/** `collections["a b"].columns.sku`, `kafka.brokers[0]`. */
function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const each of path) {
    const key = typeof each === "string" ? hideValue(each) : each;
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[\w$-]+$/.test(String(key))) text += text === "" ? String(key) : `.${String(key)}`;
    else text += `[${JSON.stringify(String(key))}]`;
  }
  return text;
}
