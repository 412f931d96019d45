import { connect, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { HANDSHAKE_CUT, isHandshakeCut } from "../../runtime/tls-codes.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import type { FrameFormat } from "./frame-splitter.ts";

/** Kafka's frames: a size (int32, big-endian), then that many bytes. */
export const KAFKA_FRAME: FrameFormat = { headBytes: 4, lengthOf: (head) => 4 + head.readInt32BE(0) };

const KEEP_ALIVE_MS = 60_000;

interface SocketOptions {
  readonly host: string;
  readonly port: number;
  /** Without it, or null: no TLS. */
  readonly ssl?: ConnectionOptions | null;
  readonly onConnect: () => void;
}

/**
 * Makes the same sockets as kafkajs's own socketFactory, but these pass on whole responses only. kafkajs 2.2.4 keeps the
 * beginning of a response when its connection breaks, takes the next connection's first bytes for the rest of it, and
 * then waits for ever.
 */
export function kafkaSocket({ host, port, ssl, onConnect }: SocketOptions): Socket {
  const socket = ssl ? tlsSocket({ host, port, ssl, onConnect }) : connect({ host, port }, onConnect);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return passOnFrames(socket);
}

/** kafkajs keeps only the code of a socket's error. */
function tlsSocket({ host, port, ssl, onConnect }: SocketOptions): Socket {
  const options = { host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl };
  const socket = connectTls(options, onConnect);
  return socket.once("error", (error: NodeJS.ErrnoException) => {
    if (isHandshakeCut(error)) error.code = HANDSHAKE_CUT;
  });
}

function passOnFrames(socket: Socket): Socket {
  const frames = new FrameSplitter(KAFKA_FRAME);
  const emit: (event: string | symbol, ...values: unknown[]) => boolean = socket.emit.bind(socket);
  const emitFrames = (event: string | symbol, ...values: unknown[]): boolean => {
    if (event !== "data") return emit(event, ...values);
    for (const frame of frames.push(values[0] as Buffer)) emit(event, frame);
    return true;
  };
  return Object.assign(socket, { emit: emitFrames });
}
