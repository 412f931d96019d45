import { FrameSplitter } from "../../src/kafka/wire/frame-splitter.ts";
import type { FrameFormat } from "../../src/kafka/wire/frame-splitter.ts";
import { startProtocolProxy } from "./protocol-proxy.ts";
import type { Piece, Protocol, ProtocolProxy } from "./protocol-proxy.ts";

/** A type (1 byte), a size (int32, big-endian, includes itself) and the content. */
const FRAME: FrameFormat = { headBytes: 5, lengthOf: (head) => 1 + head.readInt32BE(1) };
const QUERY = 0x51;
const BIND = 0x42;
const SYNC = 0x53;
const COMMAND_COMPLETE = 0x43;
const READY_FOR_QUERY = 0x5a;

/** The Sync behind several statements, which makes them a transaction, and the end of the answer to it. */
export const IMPLICIT_TRANSACTION = "implicit transaction";

/**
 * A proxy in front of PostgreSQL, for clients without TLS. The kind of a request is the text of a simple query
 * (`COMMIT`). The kind of a response is the first word of CommandComplete (`COMMIT`, `INSERT`). Both also have
 * `IMPLICIT_TRANSACTION`.
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
  const groups = new MessageGroups();
  let hasStarted = false;
  return {
    request: (chunk) => {
      // The first message has no type. The client waits for an answer before it sends more.
      if (!hasStarted) {
        hasStarted = true;
        return [{ bytes: chunk }];
      }
      return requestFrames.push(chunk).map((bytes) => pieceOf(bytes, groups.sent(bytes) ?? textOf(bytes, QUERY)));
    },
    response: (chunk) =>
      responseFrames
        .push(chunk)
        .map((bytes) => pieceOf(bytes, groups.answered(bytes) ?? textOf(bytes, COMMAND_COMPLETE)?.split(" ")[0])),
  };
}

/** Knows which messages end an implicit transaction. The server answers each Query and each Sync with one ReadyForQuery. */
class MessageGroups {
  readonly #unanswered: (string | undefined)[] = [];
  #binds = 0;

  sent([type]: Buffer): string | undefined {
    if (type === BIND) this.#binds++;
    if (type !== SYNC && type !== QUERY) return undefined;
    const kind = this.#binds > 1 ? IMPLICIT_TRANSACTION : undefined;
    this.#binds = 0;
    this.#unanswered.push(kind);
    return kind;
  }

  answered([type]: Buffer): string | undefined {
    return type === READY_FOR_QUERY ? this.#unanswered.shift() : undefined;
  }
}

function textOf(bytes: Buffer, type: number): string | undefined {
  return bytes[0] === type ? bytes.toString("utf8", 5, bytes.indexOf(0, 5)) : undefined;
}

function pieceOf(bytes: Buffer, kind: string | undefined): Piece<string> {
  return kind === undefined ? { bytes } : { bytes, kind };
}
