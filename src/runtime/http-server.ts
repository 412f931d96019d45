import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HeadraceError } from "../errors/error.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface HttpServerOptions {
  readonly host: string;
  /** 0 chooses a free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** True once the process has started its work. */
  readonly isReady: () => boolean;
  /** The answer of /status, sent as JSON. */
  readonly status: () => Promise<object>;
  readonly logger: Logger;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

/**
 * Serves GET /metrics, /healthz (the process is alive), /readyz (it is working) and /status.
 * @throws HeadraceError HTTP_UNAVAILABLE if it cannot listen on the port
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, logger } = options;
  const server = createServer((request, response) => {
    answer(request, options).then(
      (result) => send(response, result),
      (error: unknown) => {
        logger.warn({ err: error, url: request.url }, "an HTTP request failed");
        send(response, text(503, "unavailable"));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(unavailable(host, port, error)));
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, options: HttpServerOptions): Promise<Answer> {
  const { metrics, isReady, status } = options;
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "method not allowed");
  switch (request.url?.split("?")[0]) {
    case "/healthz":
      return text(200, "ok");
    case "/readyz":
      return isReady() ? text(200, "ready") : text(503, "not ready");
    case "/metrics":
      return { code: 200, type: metrics.contentType, body: await metrics.text() };
    case "/status":
      return { code: 200, type: "application/json", body: JSON.stringify(await status()) };
    case undefined:
    default:
      return text(404, "not found");
  }
}

function text(code: number, body: string): Answer {
  return { code, type: "text/plain; charset=utf-8", body: `${body}\n` };
}

function send(response: ServerResponse, { code, type, body }: Answer): void {
  response.writeHead(code, { "content-type": type }).end(body);
}

function unavailable(host: string, port: number, cause: Error): HeadraceError {
  return new HeadraceError("HTTP_UNAVAILABLE", { message: `Cannot listen on ${host}:${port}.` }, cause);
}
