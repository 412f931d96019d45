/** Codes of Node and OpenSSL for certificates and TLS settings that do not fit together, with their meaning. */
const TLS_CODES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  CERT_REJECTED: "the server's certificate is rejected",
  CERT_REVOKED: "the server's certificate is revoked",
  CERT_UNTRUSTED: "the server's certificate is not trusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is signed by itself, and it is not among the trusted ones",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host name",
  HOSTNAME_MISMATCH: "the server's certificate is for another host name",
  INVALID_CA: "the certificate of the server's authority is not valid",
  SELF_SIGNED_CERT_IN_CHAIN: "the authority that signed the server's certificate is not among the trusted ones",
  UNABLE_TO_GET_ISSUER_CERT: "the authority that signed the server's certificate is not among the trusted ones",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the authority that signed the server's certificate is not among the trusted ones",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the authority that signed the server's certificate is not among the trusted ones",
  ERR_SSL_WRONG_VERSION_NUMBER: "the server does not speak TLS on this port",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "the server does not speak TLS on this port",
  ERR_SSL_HTTP_REQUEST: "the server does not speak TLS on this port",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "server and client have no TLS version in common",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "server and client have no TLS version in common",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    "the server refuses the handshake, for example because it wants a client certificate",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "the server wants a client certificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "the server refuses the client's certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the client's certificate has expired",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "the server refuses the client's certificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "the server does not know the authority of the client's certificate",
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: "the server refuses the client's certificate",
};

/** A connection that failed for the settings of TLS: trying again does not help. */
export interface TlsMistake {
  readonly code: string;
  /** In words, without the server's name. */
  readonly reason: string;
}

/** The TLS mistake in an error or its causes; null if there is none. */
export function tlsMistake(error: unknown): TlsMistake | null {
  for (const { code } of chain(error)) {
    if (typeof code !== "string") continue;
    const reason = TLS_CODES[code];
    if (reason !== undefined) return { code, reason };
    // OpenSSL could not read a certificate or a key that it was given.
    if (code.startsWith("ERR_OSSL_")) return { code, reason: "a certificate or key of the client cannot be used" };
  }
  return null;
}

/** The code that our sockets give to a connection that the server closed before the end of the TLS handshake. */
export const HANDSHAKE_CUT = "TLS_HANDSHAKE_CUT";

/**
 * Whether the server closed the connection before the end of the TLS handshake: it speaks no TLS on this port, or it is
 * just stopping. Node's error for it is the only reset without a system call that has a local address.
 */
export function isHandshakeCut(error: unknown): boolean {
  for (const { code, syscall, ...others } of chain(error)) {
    if (code === HANDSHAKE_CUT) return true;
    if (code === "ECONNRESET" && syscall === undefined && "localAddress" in others) return true;
  }
  return false;
}

/** What `isHandshakeCut` means, without the server's name. */
export const HANDSHAKE_CUT_REASON =
  "the server closes the connection in the TLS handshake. Does it speak TLS on this port?";

/** The file that could not be read, in an error or its causes; null if there is none. */
export function unreadableFile(error: unknown): { readonly path: string; readonly code: string } | null {
  for (const { code, syscall, path } of chain(error)) {
    if ((syscall === "open" || syscall === "read") && typeof path === "string") return { path, code: String(code) };
  }
  return null;
}

interface SystemError {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly path?: unknown;
}

function* chain(error: unknown): Generator<SystemError> {
  const seen = new Set<unknown>();
  for (let each = error; typeof each === "object" && each !== null && !seen.has(each); each = causeOf(each)) {
    seen.add(each);
    yield each;
  }
}

function causeOf(error: object): unknown {
  return (error as { cause?: unknown }).cause;
}
