/** Node's error codes of network failures. */
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
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** The code of a Node error that means that the network or the server is not available; null for any other error. */
export function networkCode(error: unknown): string | null {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  if (typeof code !== "string") return null;
  // The Unix socket of a server that is not running. A file that does not exist has the same code, but nobody connects to it.
  const isNetwork = NETWORK_CODES.has(code) || (code === "ENOENT" && syscall === "connect");
  return isNetwork ? code : null;
}
