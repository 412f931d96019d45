import { HeadraceError } from "../../errors/error.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface SchemaRegistryOptions {
  /** With its path, if it has one (`http://host:8080/apis/ccompat/v7`); may hold credentials. */
  readonly url: string;
  readonly auth?: Credentials | undefined;
}

/** An answer of the registry's API that says no (4xx), for the caller to make sense of. */
export class RegistryRefusal extends Error {
  override readonly name = "RegistryRefusal";
  /** The HTTP status; the registry client looks for it, too. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What the registry client's HTTP library hands to a middleware. */
interface TransportRequest {
  method(): string;
  url(): string;
  headers(): object;
  body(): unknown;
}

/** What a middleware gives for it: an answer of the API, a JSON object. */
export interface TransportResponse {
  data(): Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 10_000;

/** Splits the credentials off, so that they stand in no message. @throws HeadraceError REGISTRY_UNEXPECTED */
export function withoutCredentials(url: string): { url: string; auth: Credentials | undefined } {
  // "host:8081" parses, as a URL of the scheme "host".
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new HeadraceError("REGISTRY_UNEXPECTED", {
      message: "The schema registry's address is no URL of a web server.",
      remedy: "Give it as http://host:port, with the path of its Confluent API if that has one.",
    });
  }
  const { origin, pathname, username, password } = new URL(url);
  const auth =
    username === "" && password === ""
      ? undefined
      : { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  return { url: `${origin}${pathname}`.replace(/\/+$/, ""), auth };
}

/**
 * A middleware that does the HTTP itself instead of calling the next one. The registry client's own HTTP has
 * no time limit, gives an unreachable server the status 400, and retries, which is the caller's to decide.
 * Its promise rejects with HeadraceError REGISTRY_UNAVAILABLE or REGISTRY_UNEXPECTED, or RegistryRefusal.
 */
export function registryTransport(auth: Credentials | undefined) {
  return () => ({
    response: async (_next: unknown, _renew: unknown, request: TransportRequest): Promise<TransportResponse> => {
      const answer = await send(request, auth);
      return { data: () => answer };
    },
  });
}

/**
 * A request of the API that the registry client does not have. Resolves to the answer's JSON.
 * @param path behind that of the registry's address
 * @param body as JSON
 * @throws as `registryTransport`
 */
export async function registryRequest(
  registry: SchemaRegistryOptions,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const endpoint = withoutCredentials(registry.url);
  const request: TransportRequest = {
    method: () => method,
    url: () => `${endpoint.url}${path}`,
    headers: () => (body === undefined ? {} : { "content-type": "application/vnd.schemaregistry.v1+json" }),
    body: () => (body === undefined ? undefined : JSON.stringify(body)),
  };
  return await send(request, registry.auth ?? endpoint.auth);
}

async function send(request: TransportRequest, auth: Credentials | undefined): Promise<Record<string, unknown>> {
  const { status, text } = await fetchText(request, auth);
  const { origin } = new URL(request.url());
  if (status >= 500 || status === 429 || status === 408) {
    throw unavailable(`The schema registry at ${origin} answers with status ${status}.`);
  }
  if (status === 401 || status === 403) {
    throw new HeadraceError("REGISTRY_UNEXPECTED", {
      message: `The schema registry at ${origin} refuses ${request.method().toUpperCase()} ${new URL(request.url()).pathname} with status ${status}.`,
      remedy: "Check the registry's credentials and their rights.",
    });
  }
  const answer = parseObject(text);
  if (status < 300 && answer !== undefined) return answer;
  if (isOfTheApi(status, answer?.["error_code"])) throw new RegistryRefusal(status, String(answer?.["message"]));
  throw new HeadraceError("REGISTRY_UNEXPECTED", {
    message: `${request.url()} answers with status ${status} and not as a schema registry does.`,
    remedy: "Check the registry's address, its path included (Apicurio's is /apis/ccompat/v7).",
  });
}

/** The API's own 404 has a code of five digits; a path that does not exist has none, or 404. */
function isOfTheApi(status: number, errorCode: unknown): boolean {
  return typeof errorCode === "number" && (status !== 404 || errorCode >= 40_400);
}

async function fetchText(
  request: TransportRequest,
  auth: Credentials | undefined,
): Promise<{ status: number; text: string }> {
  const headers = new Headers(Object.entries(request.headers()).map(([name, value]) => [name, String(value)]));
  if (auth !== undefined) {
    headers.set("authorization", `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString("base64")}`);
  }
  const body = request.body();
  try {
    const response = await fetch(request.url(), {
      method: request.method().toUpperCase(),
      headers,
      body: typeof body === "string" ? body : null,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    throw unavailable(`The schema registry at ${new URL(request.url()).origin} cannot be reached.`, error);
  }
}

function unavailable(message: string, cause?: unknown): HeadraceError {
  return new HeadraceError("REGISTRY_UNAVAILABLE", { message }, cause);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
