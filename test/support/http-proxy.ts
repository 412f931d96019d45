import { startProtocolProxy } from "./protocol-proxy.ts";
import type { Protocol, ProtocolProxy } from "./protocol-proxy.ts";

/**
 * A proxy in front of an HTTP/1.1 server without TLS. Kinds are methods and paths (`POST /subjects/a/versions`); a
 * response has the one of its request. Clients must not pipeline requests.
 */
export interface HttpProxy extends ProtocolProxy<string> {
  /** The proxy's address for clients. */
  readonly url: string;
}

export async function startHttpProxy(url: string): Promise<HttpProxy> {
  const changed = new URL(url);
  const proxy = await startProtocolProxy({ host: changed.hostname, port: Number(changed.port) }, createProtocol);
  changed.host = `${proxy.host}:${proxy.port}`;
  return { ...proxy, url: changed.href };
}

function createProtocol(): Protocol<string> {
  let current: string | undefined;
  return {
    request: (bytes) => {
      const [line = ""] = bytes.toString("latin1").split("\r\n", 1);
      const found = /^([A-Z]+ \S+) HTTP\/1\.1$/.exec(line);
      if (found === null) return [{ bytes }];
      current = found[1];
      return [{ bytes, kind: current }];
    },
    response: (bytes) => [{ bytes, kind: current }],
  };
}
