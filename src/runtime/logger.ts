import { pino } from "pino";
import type { DestinationStream } from "pino";
import { errorCode, HeadraceError } from "../errors/error.ts";

/** The logger of every part of Headrace, in pino's shape. Log errors as `err`. Never log a document's value. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Fields of every line, such as the pipeline's name. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Default: stderr, because stdout is for the output of commands. */
  readonly destination?: DestinationStream;
}

/** Writes one JSON object per line. Masks credentials in URLs, and fields with names of secrets. */
export function createLogger({ level, fields, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: fields ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      redact: { paths: SECRET_FIELDS, censor: "***" },
      hooks: { streamWrite: maskCredentials },
    },
    // Synchronous, so that the last line, which says why the process ends, is not lost.
    destination ?? pino.destination({ dest: 2, sync: true }),
  );
}

const SECRET_FIELDS = ["password", "auth", "authorization", "secret"].flatMap((name) => [name, `*.${name}`]);

/**
 * `mongodb://user:pass@host` → `mongodb://***@host`, anywhere in the text, and up to the last `@` of the word: an address
 * in a wrong form may have its password anywhere before it.
 */
export function maskCredentials(text: string): string {
  return text.replaceAll(/(\w:\/\/)[^\s"<>]*@/g, "$1***@");
}

interface ErrorDescription {
  readonly type: string;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
  readonly details?: object;
  readonly at?: readonly string[];
  readonly causes?: readonly ErrorDescription[];
}

/**
 * Describes an error for the log: code, message, remedy, and the codes of its causes. Causes are errors of drivers,
 * whose messages may contain a document's value (PostgreSQL: `invalid input syntax … "…"`). So the message of a cause
 * is kept only if Headrace or the operating system wrote it.
 */
export function describeError(error: unknown): ErrorDescription {
  const causes = causeChain(error).map((cause) => describeOne(cause, isOurs(cause) || isSystemError(cause)));
  const own = describeOne(error, true);
  return {
    ...own,
    ...stackOf(isUnknown(error) ? causeOf(error) : isOurs(error) ? undefined : error),
    ...(causes.length > 0 ? { causes } : {}),
  };
}

/** Logs the line that says why the process ends. */
export function logFatal(logger: Logger, error: unknown): void {
  logger.error({ err: error }, `stopped by ${errorCode(error) ?? "an unknown error"}`);
}

function describeOne(error: unknown, withMessage: boolean): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, ...(withMessage ? { message: String(error) } : {}) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === "string" || typeof code === "number" ? { code: String(code) } : {}),
    ...(withMessage ? { message: error.message } : {}),
    ...(isOurs(error) ? { remedy: error.remedy } : {}),
    ...(isOurs(error) && Object.keys(error.details).length > 0 ? { details: error.details } : {}),
  };
}

function causeChain(error: unknown): unknown[] {
  const causes: unknown[] = [];
  let cause = causeOf(error);
  while (cause !== undefined && !causes.includes(cause)) {
    causes.push(cause);
    cause = causeOf(cause);
  }
  return causes;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

/** Whether Headrace itself threw the error. */
function isOurs(error: unknown): error is HeadraceError {
  return error instanceof HeadraceError;
}

/** Whether an error had no code of its own. Then its stack is the best information. */
function isUnknown(error: unknown): error is Error {
  return errorCode(error) === "UNKNOWN_ERROR";
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { syscall?: unknown }).syscall === "string";
}

function stackOf(error: unknown): { at: readonly string[] } | object {
  const lines = error instanceof Error ? (error.stack ?? "").split("\n") : [];
  const at = lines.map((line) => line.trim()).filter((line) => line.startsWith("at "));
  return at.length > 0 ? { at: at.slice(0, 8) } : {};
}
