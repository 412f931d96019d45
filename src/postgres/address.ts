import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import { HeadraceError } from "../errors/error.ts";

/** One way to connect, for the driver. */
export interface ConnectAttempt {
  /** Without parameters of TLS. */
  readonly connectionString: string;
  readonly ssl: ConnectionOptions | false;
  readonly sslnegotiation?: "direct";
}

type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

const SSL_MODES: readonly string[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/** What the driver calls some modes. Its own meanings of libpq's words are others, and it warns about them on stderr. */
const DRIVER_MODES: ReadonlyMap<string, SslMode> = new Map([
  ["sslmode=no-verify", "require"],
  ["ssl=no-verify", "require"],
  ["ssl=true", "verify-full"],
  ["ssl=1", "verify-full"],
  ["ssl=false", "disable"],
  ["ssl=0", "disable"],
]);

const TLS_PARAMETERS = ["sslmode", "ssl", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslnegotiation"] as const;

/**
 * The ways to connect, in the order in which libpq tries them. The parameters of TLS have libpq's meanings, and libpq's
 * environment variables count where the address does not have them.
 * @throws HeadraceError POSTGRES_CONNECT_FAILED, TLS_FILE_UNREADABLE
 */
export async function connectAttempts(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<readonly ConnectAttempt[]> {
  const [address = "", query = ""] = url.split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const parameters = new Map<string, string>();
  for (const name of TLS_PARAMETERS) {
    const value = given.get(name) ?? (name === "ssl" ? undefined : env[`PG${name.toUpperCase()}`]);
    if (value !== undefined && value !== "") parameters.set(name, value);
    given.delete(name);
  }
  given.delete("uselibpqcompat");
  const connectionString = given.size > 0 ? `${address}?${given.toString()}` : address;
  const mode = modeOf(parameters);
  const plain: ConnectAttempt = { connectionString, ssl: false };
  if (mode === "disable") return [plain];
  const encrypted: ConnectAttempt = {
    connectionString,
    ssl: await tlsOptions(mode, parameters),
    ...(parameters.get("sslnegotiation") === "direct" ? { sslnegotiation: "direct" } : {}),
  };
  if (mode === "allow") return [plain, encrypted];
  return mode === "prefer" ? [encrypted, plain] : [encrypted];
}

/**
 * Tries one way to connect after the other, where one has failed because of TLS or of a rule in pg_hba.conf.
 * @param connect throws classified errors
 * @throws HeadraceError of the attempt that says most
 */
export async function tryInOrder<Attempt, T>(
  attempts: readonly Attempt[],
  connect: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const failures: unknown[] = [];
  for (const attempt of attempts) {
    try {
      return await connect(attempt);
    } catch (error) {
      if (!mayDependOnTls(error)) throw error;
      failures.push(error);
    }
  }
  // The server's own reason says more than that it has no TLS.
  throw (
    failures.find((failure) => failure instanceof HeadraceError && failure.code !== "POSTGRES_CONNECT_FAILED") ??
    failures[0]
  );
}

function mayDependOnTls(error: unknown): boolean {
  return (
    error instanceof HeadraceError &&
    (error.code === "POSTGRES_CONNECT_FAILED" || REFUSALS.has(error.details["sqlstate"]))
  );
}

/** Of PostgreSQL, whose pg_hba.conf has no entry for a connection with, or without, TLS; and of PgBouncer. */
const REFUSALS: ReadonlySet<string | undefined> = new Set(["28000", "08P01"]);

function modeOf(parameters: ReadonlyMap<string, string>): SslMode {
  const root = parameters.get("sslrootcert");
  const isDirect = parameters.get("sslnegotiation") === "direct";
  const named = ["sslmode", "ssl"]
    .filter((name) => parameters.has(name))
    .map((name) => `${name}=${parameters.get(name)}`);
  const [given] = named;
  if (given === undefined) {
    if (root === "system") return "verify-full";
    return isDirect ? "require" : "prefer";
  }
  const mode = DRIVER_MODES.get(given) ?? parameters.get("sslmode");
  if (mode === undefined || !SSL_MODES.includes(mode))
    throw refused(`${given} is none of the modes ${SSL_MODES.join(", ")}`);
  if (mode === "verify-ca" && root === undefined)
    throw refused("sslmode=verify-ca needs sslrootcert, a file with the certificates of your own authority");
  if (root === "system" && mode !== "verify-full") throw refused(`sslrootcert=system needs sslmode=verify-full`);
  if (isDirect && ["allow", "prefer"].includes(mode))
    throw refused(`sslnegotiation=direct needs sslmode=require or more`);
  return mode as SslMode;
}

async function tlsOptions(mode: SslMode, parameters: ReadonlyMap<string, string>): Promise<ConnectionOptions> {
  const root = parameters.get("sslrootcert");
  const files = {
    ca: root === "system" ? undefined : root,
    cert: parameters.get("sslcert"),
    key: parameters.get("sslkey"),
  };
  const options: ConnectionOptions = {};
  for (const [name, file] of Object.entries(files)) {
    if (file !== undefined) Object.assign(options, { [name]: await readTlsFile(file) });
  }
  const passphrase = parameters.get("sslpassword");
  if (passphrase !== undefined) options.passphrase = passphrase;
  if (mode === "verify-full") return options;
  // With a root certificate, libpq's `require` acts as `verify-ca`.
  const verifies = mode === "verify-ca" || (mode === "require" && options.ca !== undefined);
  return verifies ? { ...options, checkServerIdentity: () => undefined } : { ...options, rejectUnauthorized: false };
}

async function readTlsFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    const message = `The file ${file} in postgres.url cannot be read (${code}).`;
    throw new HeadraceError("TLS_FILE_UNREADABLE", { message }, error);
  }
}

function refused(reason: string): HeadraceError {
  return new HeadraceError("POSTGRES_CONNECT_FAILED", { message: `Cannot connect to PostgreSQL: ${reason}.` });
}
