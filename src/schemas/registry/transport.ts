import { HeadraceError } from "../../errors/error.ts";
import { tlsMistake } from "../../runtime/tls-codes.ts";

interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface SchemaRegistryOptions {
  /** With the path of the API if it has one (`http://host:8080/apis/ccompat/v7`). May contain credentials. */
  readonly url: string;
  readonly auth?: Credentials | undefined;
}

/** The registry's API refused a request (4xx). The caller may know a better code for it. */
export class RegistryRefusal extends HeadraceError {
  /** The HTTP status. The registry client reads it, too. */
  readonly status: number;
  /** The registry's own words. */
  readonly reason: string;

  constructor(status: number, reason: string) {
    super("REGISTRY_UNEXPECTED", { message: `The schema registry answered with status ${status}: ${reason}` });
    this.status = status;
    this.reason = reason;
  }
}

/** For a whole request, the reading of its answer included. */
const TIMEOUT_MS = 10_000;

/**
 * Sends requests to a registry's API: those of the registry client, in place of its own HTTP
 * (docs/adr/0006-requests-to-the-registry-are-sent-by-our-own-code.md), and those that the client does not have.
 */
export class RegistryTransport {
  /** Without credentials and without a slash at its end. */
  readonly url: string;
  readonly #authorization: string | undefined;

  /** @throws HeadraceError REGISTRY_UNEXPECTED if the address is not an HTTP URL */
  constructor({ url, auth }: SchemaRegistryOptions) {
    // "host:8081" parses, as a URL of the scheme "host".
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new HeadraceError("REGISTRY_UNEXPECTED", {
        message: "The schema registry's address is not an HTTP URL.",
        remedy: "Write it as http://host:port, followed by the path of its Confluent API if it has one.",
      });
    }
    const { origin, pathname, username, password } = new URL(url);
    this.url = `${origin}${pathname}`.replace(/\/+$/, "");
    const user = auth?.username ?? decodeURIComponent(username);
    const secret = auth?.password ?? decodeURIComponent(password);
    if (user !== "" || secret !== "") {
      this.#authorization = `Basic ${Buffer.from(`${user}:${secret}`).toString("base64")}`;
    }
  }

  /**
   * Resolves to the answer's JSON.
   * @param path relative to the registry's address
   * @param body sent as JSON
   * @throws RegistryRefusal, HeadraceError REGISTRY_UNAVAILABLE or REGISTRY_UNEXPECTED
   */
  async request(method: string, path: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
    return await this.send(method, `${this.url}${path}`, body === undefined ? null : JSON.stringify(body));
  }

  /** The same for a whole URL and a body that is JSON already. */
  async send(method: string, url: string, body: string | null): Promise<Readonly<Record<string, unknown>>> {
    const { status, text } = await this.#fetchText(method, url, body);
    const { origin, pathname } = new URL(url);
    if (status >= 500 || status === 429 || status === 408) {
      throw unavailable(`The schema registry at ${origin} answered with status ${status}.`);
    }
    if (status === 401 || status === 403) {
      throw new HeadraceError(status === 401 ? "REGISTRY_LOGIN_FAILED" : "REGISTRY_FORBIDDEN", {
        message: `The schema registry at ${origin} refused ${method} ${pathname} with status ${status}.`,
      });
    }
    const answer = parseObject(text);
    if (status < 300 && answer !== undefined) return answer;
    if (isOfTheApi(status, answer?.["error_code"])) throw new RegistryRefusal(status, String(answer?.["message"]));
    throw new HeadraceError("REGISTRY_UNEXPECTED", {
      message: `${url} answered with status ${status}, and the answer is not one of a schema registry.`,
      remedy: "Check the registry's address and its path (Apicurio's is /apis/ccompat/v7).",
    });
  }

  async #fetchText(method: string, url: string, body: string | null): Promise<{ status: number; text: string }> {
    const headers = new Headers();
    if (body !== null) headers.set("content-type", "application/vnd.schemaregistry.v1+json");
    if (this.#authorization !== undefined) headers.set("authorization", this.#authorization);
    try {
      const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(TIMEOUT_MS) });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const tls = tlsMistake(error);
      if (tls !== null) {
        const message = `No TLS with the schema registry at ${new URL(url).origin}: ${tls.reason} (${tls.code}).`;
        throw new HeadraceError("REGISTRY_TLS_FAILED", { message }, error);
      }
      throw unavailable(`The schema registry at ${new URL(url).origin} cannot be reached.`, error);
    }
  }
}

/** A 404 of the API has an error code of five digits. If the path does not exist, it has none, or 404. */
function isOfTheApi(status: number, errorCode: unknown): boolean {
  return typeof errorCode === "number" && (status !== 404 || errorCode >= 40_400);
}

function unavailable(message: string, cause?: unknown): HeadraceError {
  return new HeadraceError("REGISTRY_UNAVAILABLE", { message }, cause);
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
