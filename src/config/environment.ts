import type { Mistake } from "./config-mistakes.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A config's plain data with the environment's values in it. */
export interface Substituted {
  readonly data: unknown;
  readonly mistakes: readonly Mistake[];
  /** True where the text at a path (see `pathKey`) came from the environment. */
  readonly fromEnvironment: ReadonlySet<string>;
}

/** A path as a key of sets. */
export function pathKey(path: readonly PropertyKey[]): string {
  return JSON.stringify(path);
}

/** Puts the environment's values in for `${NAME}` in every text (not in keys). `$${` stands for `${`. */
export function substituteEnvironment(data: unknown, environment: Environment): Substituted {
  const mistakes: Mistake[] = [];
  const fromEnvironment = new Set<string>();

  const valueOf = (name: string, path: readonly PropertyKey[]): string => {
    fromEnvironment.add(pathKey(path));
    const value = environment[name];
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
