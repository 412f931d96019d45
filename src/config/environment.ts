import type { Mistake } from "./config-mistakes.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A config's data with variables replaced by their values. */
export interface Substituted {
  readonly data: unknown;
  readonly mistakes: readonly Mistake[];
  /** Paths (see `pathKey`) of texts in which a variable was replaced. */
  readonly fromEnvironment: ReadonlySet<string>;
}

/** A path as a text, to be kept in a set. */
export function pathKey(path: readonly PropertyKey[]): string {
  return JSON.stringify(path);
}

/** Replaces `${NAME}` by the environment variable NAME in every text, but not in keys. `$${` becomes `${`. */
export function substituteEnvironment(data: unknown, environment: Environment): Substituted {
  const mistakes: Mistake[] = [];
  const fromEnvironment = new Set<string>();

  const valueOf = (name: string, path: readonly PropertyKey[]): string => {
    fromEnvironment.add(pathKey(path));
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) mistakes.push({ path, message: `the environment variable ${name} is not set` });
    return value ?? "";
  };

  const substituteText = (text: string, path: readonly PropertyKey[]): string =>
    text.replaceAll(/\$\$\{|\$\{([^}]*)\}?/g, (match, name: string | undefined) => {
      if (name === undefined) return "${";
      if (match.endsWith("}") && /^[A-Za-z_]\w*$/.test(name)) return valueOf(name, path);
      mistakes.push({ path, message: "write ${NAME} for an environment variable, or $${ for the text ${" });
      return match;
    });

  const substitute = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (typeof value === "string") return substituteText(value, path);
    if (Array.isArray(value)) return value.map((item, index) => substitute(item, [...path, index]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, [...path, key])]));
  };

  return { data: substitute(data, []), mistakes, fromEnvironment };
}
