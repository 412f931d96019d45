import { FrameSplitter } from "../../src/kafka/wire/frame-splitter.ts";
import type { FrameFormat } from "../../src/kafka/wire/frame-splitter.ts";
import { startProtocolProxy } from "./protocol-proxy.ts";
import type { Piece, Protocol, ProtocolProxy } from "./protocol-proxy.ts";

/** A type (1 byte), a size (int32, big-endian, includes itself) and the content. */
const FRAME: FrameFormat = { headBytes: 5, lengthOf: (head) => 1 + head.readInt32BE(1) };
const QUERY = 0x51;
const COMMAND_COMPLETE = 0x43;

/**
 * A proxy in front of PostgreSQL, for clients without TLS. The kind of a request is the text of a simple query
 * (`COMMIT`). The kind of a response is the first word of CommandComplete (`COMMIT`, `INSERT`).
 */
export interface PostgresProxy extends ProtocolProxy<string> {
  /** The proxy's address for clients. */
  readonly url: string;
}

export async function startPostgresProxy(url: string): Promise<PostgresProxy> {
  const changed = new URL(url);
  const proxy = await startProtocolProxy({ host: changed.hostname, port: Number(changed.port) }, createProtocol);
  changed.host = `${proxy.host}:${proxy.port}`;
  changed.searchParams.set("sslmode", "disable");
  return { ...proxy, url: changed.href };
}

function createProtocol(): Protocol<string> {
  const requestFrames = new FrameSplitter(FRAME);
  const responseFrames = new FrameSplitter(FRAME);
  let hasStarted = false;
  return {
    request: (chunk) => {
      // The first message has no type. The client waits for an answer before it sends more.
      if (!hasStarted) {
        hasStarted = true;
        return [{ bytes: chunk }];
      }
      return requestFrames.push(chunk).map((bytes) => pieceOf(bytes, QUERY, (text) => text));
    },
    response: (chunk) =>
      responseFrames.push(chunk).map((bytes) => pieceOf(bytes, COMMAND_COMPLETE, (tag) => tag.split(" ")[0])),
  };
}

function pieceOf(bytes: Buffer, type: number, kindOf: (text: string) => string | undefined): Piece<string> {
  return bytes[0] === type ? { bytes, kind: kindOf(bytes.toString("utf8", 5, bytes.indexOf(0, 5))) } : { bytes };
}
