import { createRequire } from "node:module";

/** The version whose inside is known. */
const KAFKAJS_VERSION = "2.2.4";

/** kafkajs's definition of a kind of request, of which we replace parts. */
interface RequestDefinition<Request, Exchange> {
  protocol: (options: { readonly version: number }) => (request: Request) => Exchange;
}

/**
 * A row of kafkajs's table of requests, in which it looks whenever it sends one: what is replaced there holds for every
 * client in the process.
 * @throws Error where kafkajs is not the version whose inside is known
 */
export function kafkajsRequest<Request, Exchange>(name: string): RequestDefinition<Request, Exchange> {
  const require = createRequire(import.meta.url);
  const { version } = require("kafkajs/package.json") as { version: string };
  if (version !== KAFKAJS_VERSION) {
    throw new Error(`Headrace needs kafkajs ${KAFKAJS_VERSION}, but finds ${version}. Install it again with npm ci.`);
  }
  const { requests } = require("kafkajs/src/protocol/requests/index.js") as { requests: Record<string, unknown> };
  return requests[name] as RequestDefinition<Request, Exchange>;
}
