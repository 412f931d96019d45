/** Node's codes of a network that fails; ENOENT: the Unix socket of a server that does not run. */
const NETWORK_CODES: ReadonlySet<unknown> = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** The code of an error of Node's own that says that the network or the server at its other end is away; else null. */
export function networkCode(error: unknown): string | null {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && NETWORK_CODES.has(code) ? code : null;
}
