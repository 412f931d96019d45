const ENCODE = "/ as %2F, @ as %40, ? as %3F, # as %23, % as %25";
const UNENCODED = `contains a character that must be percent-encoded, probably in its password (${ENCODE})`;
const NOT_A_PORT = "has a port that is not a number from 1 to 65535";
const NOT_AN_ADDRESS = "has no valid host and port after the user and password";

/**
 * What is wrong with the form of a server's address; null if nothing. Drivers read a password with `/` or `@` as hosts,
 * ports and options, and would show its parts as such. So this is the first to read an address, and never quotes it.
 */
export function addressComplaint(address: string): string | null {
  const [, rest = ""] = /^[a-z+]+:\/\/(.*)$/is.exec(address) ?? [];
  const [authority = ""] = /^[^/?#]*/.exec(rest) ?? [];
  const at = authority.indexOf("@");
  const hosts = authority.slice(at + 1);
  // In the right form, only the end of the user and password is an "@".
  if (hosts.includes("@") || rest.slice(authority.length).includes("@")) return UNENCODED;
  if (/[\s\\"<>\p{Cc}]/u.test(rest) || !isEncoded(authority.slice(0, Math.max(at, 0)))) return UNENCODED;
  const complaint = hosts
    .split(",")
    .map(hostComplaint)
    .find((each) => each !== null);
  if (complaint !== undefined) return complaint;
  // PostgreSQL's port may also be an option, as with a socket's folder as the host.
  const port = /^postgres/i.test(address) ? new URLSearchParams(rest.split("?")[1]).get("port") : null;
  if (port !== null && port !== "" && !isPort(port)) return NOT_A_PORT;
  // Only PostgreSQL has a default host, and several hosts are no URL for Node.
  const isValid = /^postgres/i.test(address) || (hosts !== "" && (hosts.includes(",") || URL.canParse(address)));
  return isValid ? null : NOT_AN_ADDRESS;
}

/** What is wrong with a broker; null if nothing. Never quotes it. */
export function brokerComplaint(broker: string): string | null {
  if (broker.includes("@")) return "contains a user or a password; a broker is host:port, and the login is kafka.sasl";
  const [, port] = /^(?:\[[^\]\s]+\]|[^:/\s]+):([^:/\s]+)$/.exec(broker) ?? [];
  if (port === undefined) return "is not of the form host:port";
  return isPort(port) ? null : NOT_A_PORT;
}

function isEncoded(userinfo: string): boolean {
  try {
    return decodeURIComponent(userinfo) !== null;
  } catch {
    return false;
  }
}

function hostComplaint(text: string): string | null {
  const [, host, port] = /^(\[[^\]]+\]|[\p{L}\p{N}._~%-]*)(?::(.*))?$/u.exec(text) ?? [];
  if (host === undefined) return NOT_AN_ADDRESS;
  return port === undefined || isPort(port) ? null : NOT_A_PORT;
}

/** Port 0 is for those who listen: the system chooses one. Nobody can connect to it. */
function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}
