import { FrameSplitter } from "../../src/kafka/wire/frame-splitter.ts";
import type { FrameFormat } from "../../src/kafka/wire/frame-splitter.ts";
import { startProtocolProxy } from "./protocol-proxy.ts";
import type { Protocol, ProtocolProxy } from "./protocol-proxy.ts";

/** A size (int32, little-endian, includes itself) and the content. */
const FRAME: FrameFormat = { headBytes: 4, lengthOf: (head) => head.readInt32LE(0) };
const OP_MSG = 2013;

/**
 * Proxies in front of all members of a replica set, controlled as one. Kinds are the names of commands; a response has
 * the one of its request.
 */
export interface MongoProxy extends Omit<ProtocolProxy<string>, "host" | "port"> {
  /** The proxies' address for clients. All their connections go through the proxies. */
  readonly uri: string;
}

/**
 * Starts a proxy for each member of the URI. In responses, replaces the addresses of members by those of the proxies. So
 * the URI must have the addresses that the members use for each other, with ports of five digits.
 */
export async function startMongoProxy(uri: string): Promise<MongoProxy> {
  const url = /^(mongodb:\/\/(?:[^@/]*@)?)([^/?]+)(.*)$/.exec(uri);
  if (url === null) throw new Error("The URI has no list of members.");
  const [, scheme = "", hosts = "", rest = ""] = url;
  /** As in BSON, with a NUL at the end. */
  const addresses: { readonly from: Buffer; readonly to: Buffer }[] = [];
  const proxies: ProtocolProxy<string>[] = [];
  for (const member of hosts.split(",")) {
    const [host = "", port = ""] = member.split(":");
    const proxy = await startProtocolProxy({ host, port: Number(port) }, () => createProtocol(addresses));
    const [from, to] = [Buffer.from(`${member}\0`), Buffer.from(`${proxy.host}:${proxy.port}\0`)];
    if (from.length !== to.length)
      throw new Error(`The address ${member} and the one of its proxy have different lengths.`);
    addresses.push({ from, to });
    proxies.push(proxy);
  }
  return {
    ...together(proxies),
    uri: `${scheme}${proxies.map(({ host, port }) => `${host}:${port}`).join(",")}${rest}`,
  };
}

function together(proxies: readonly ProtocolProxy<string>[]): Omit<MongoProxy, "uri"> {
  const all = (work: (proxy: ProtocolProxy<string>) => void) => (): void => proxies.forEach(work);
  const sum = (count: (proxy: ProtocolProxy<string>) => number): number =>
    proxies.reduce((total, proxy) => total + count(proxy), 0);
  return {
    cut: all((proxy) => proxy.cut()),
    restore: all((proxy) => proxy.restore()),
    pauseRequests: all((proxy) => proxy.pauseRequests()),
    pauseResponses: all((proxy) => proxy.pauseResponses()),
    resume: all((proxy) => proxy.resume()),
    setLatencyMs: (latencyMs) => all((proxy) => proxy.setLatencyMs(latencyMs))(),
    setVerdict: (verdict) => all((proxy) => proxy.setVerdict(verdict))(),
    setRequestVerdict: (verdict) => all((proxy) => proxy.setRequestVerdict(verdict))(),
    requestCount: (kind) => sum((proxy) => proxy.requestCount(kind)),
    lostCount: (kind) => sum((proxy) => proxy.lostCount(kind)),
    close: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}

function createProtocol(addresses: readonly { readonly from: Buffer; readonly to: Buffer }[]): Protocol<string> {
  const requestFrames = new FrameSplitter(FRAME);
  const responseFrames = new FrameSplitter(FRAME);
  const inFlight = new Map<number, string>();
  return {
    request: (chunk) =>
      requestFrames.push(chunk).map((bytes) => {
        const kind = commandOf(bytes);
        inFlight.set(bytes.readInt32LE(4), kind);
        return { bytes, kind };
      }),
    response: (chunk) =>
      responseFrames.push(chunk).map((bytes) => {
        for (const { from, to } of addresses) replaceAll(bytes, from, to);
        const responseTo = bytes.readInt32LE(8);
        // The later responses of a streamed `hello` answer the earlier ones.
        const kind = inFlight.get(responseTo) ?? "hello";
        inFlight.delete(responseTo);
        return { bytes, kind };
      }),
  };
}

/** The name of the first field of the command, which comes first in an OP_MSG; only a first `hello` comes otherwise. */
function commandOf(frame: Buffer): string {
  if (frame.readInt32LE(12) !== OP_MSG) return "hello";
  // Header (16), flags (4), kind of section (1), size of the document (4), type of its first field (1).
  const start = 26;
  return frame.toString("utf8", start, frame.indexOf(0, start));
}

function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): void {
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + from.length)) to.copy(bytes, at);
}
