import { serverVariables } from "./server-urls.ts";
import type { ServerUrls } from "./server-urls.ts";

/**
 * Where the servers come from. "env, else local": servers without an address start as local processes. "docker, else
 * local": local processes if no Docker engine can run the containers.
 */
export type StackChoice = "env" | "local" | "docker" | "env, else local" | "docker, else local";

/** Chooses by the value of `HEADRACE_STACK` and the addresses that are given. */
export function chooseStack(variable: string, given: Partial<ServerUrls>): StackChoice {
  switch (variable) {
    case "": {
      const count = Object.keys(given).length;
      if (count === serverVariables.length) return "env";
      return count > 0 ? "env, else local" : "docker, else local";
    }
    case "env":
    case "local":
    case "docker":
      return variable;
    default:
      throw new Error(`HEADRACE_STACK is ${JSON.stringify(variable)}: use env, docker or local, or leave it unset.`);
  }
}
