import { startProxy } from "./tcp-proxy.ts";
import type { ConnectionFilter, TcpProxy } from "./tcp-proxy.ts";

/** Bytes of one direction: one whole message, or bytes without a kind. */
export interface Piece<Kind> {
  readonly bytes: Buffer;
  /** Of a request: its type. Of a response: the type of its request, or what was done. */
  readonly kind?: Kind | undefined;
}

/** Understands the messages of one connection. */
export interface Protocol<Kind> {
  readonly request: (chunk: Buffer) => readonly Piece<Kind>[];
  readonly response: (chunk: Buffer) => readonly Piece<Kind>[];
}

/**
 * What happens to a message. `drop` loses it. `cut` loses it and resets the connection. `break` passes half of it and
 * resets the connection.
 */
export type Verdict = "pass" | "drop" | "cut" | "break";

type Judge<Kind> = (kind: Kind) => Verdict;

/** A proxy that understands what goes through it. */
export interface ProtocolProxy<Kind> extends TcpProxy {
  /** Decides about every response from now on. The server has already executed the request. Default: all pass. */
  readonly setVerdict: (verdict: Judge<Kind>) => void;
  /** The same for requests. The server does not execute a lost request. */
  readonly setRequestVerdict: (verdict: Judge<Kind>) => void;
  /** Number of requests of a kind. */
  requestCount(kind: Kind): number;
  /** Number of lost responses of a kind. */
  lostCount(kind: Kind): number;
}

export async function startProtocolProxy<Kind>(
  target: { readonly host: string; readonly port: number },
  createProtocol: () => Protocol<Kind>,
): Promise<ProtocolProxy<Kind>> {
  const requests = new Map<Kind, number>();
  const lost = new Map<Kind, number>();
  let verdict: Judge<Kind> = passAll;
  let requestVerdict: Judge<Kind> = passAll;

  const filter = (cut: () => void): ConnectionFilter => {
    const protocol = createProtocol();
    let isBroken = false;
    const judged = (pieces: readonly Piece<Kind>[], judge: Judge<Kind>, losses: Map<Kind, number> | null): Buffer => {
      const passing = pieces.map(({ bytes, kind }) => {
        if (isBroken) return Buffer.alloc(0);
        const outcome = kind === undefined ? "pass" : judge(kind);
        if (kind === undefined || outcome === "pass") return bytes;
        if (losses !== null) increment(losses, kind);
        if (outcome === "cut") cut();
        if (outcome !== "break") return Buffer.alloc(0);
        isBroken = true;
        // A reset would discard bytes that are not sent yet.
        setTimeout(cut, 20);
        return bytes.subarray(0, bytes.length >>> 1);
      });
      return Buffer.concat(passing);
    };
    return {
      request: (chunk) => {
        const pieces = protocol.request(chunk);
        for (const { kind } of pieces) if (kind !== undefined) increment(requests, kind);
        return judged(pieces, requestVerdict, null);
      },
      response: (chunk) => judged(protocol.response(chunk), verdict, lost),
    };
  };

  const proxy = await startProxy({ targetHost: target.host, targetPort: target.port, filter });
  return {
    ...proxy,
    setVerdict: (value) => {
      verdict = value;
    },
    setRequestVerdict: (value) => {
      requestVerdict = value;
    },
    requestCount: (kind) => requests.get(kind) ?? 0,
    lostCount: (kind) => lost.get(kind) ?? 0,
  };
}

function passAll(): Verdict {
  return "pass";
}

function increment<Kind>(counts: Map<Kind, number>, kind: Kind): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}
