import { FrameSplitter, replacePort, requestHead, responseCorrelationId } from "./kafka-frames.ts";
import { startProxy } from "./tcp-proxy.ts";
import type { ConnectionFilter, TcpProxy } from "./tcp-proxy.ts";

/** Api keys of Kafka's protocol (https://kafka.apache.org/protocol#protocol_api_keys). */
export const apiKeys = {
  produce: 0,
  fetch: 1,
  metadata: 3,
  offsetCommit: 8,
  findCoordinator: 10,
  joinGroup: 11,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  endTxn: 26,
} as const;

/** What happens to a response: `drop` loses it, `cut` loses it and resets its connection. */
type Verdict = "pass" | "drop" | "cut";

/** A proxy in front of a single broker, that understands which request a response answers. */
export interface KafkaProxy extends TcpProxy {
  /** Its address, to give to a client: all its connections then go through the proxy. */
  readonly brokers: string;
  /** Decides about every response from now on, by the api key of its request. At first all pass. */
  setVerdict(verdict: (apiKey: number) => Verdict): void;
  /** How many requests of a kind have gone to the broker. */
  requestCount(apiKey: number): number;
  /** How many responses of a kind have been lost. */
  lostCount(apiKey: number): number;
}

/**
 * Starts a proxy in front of the one broker `host:port`. The addresses that the broker tells clients (in Metadata and
 * FindCoordinator responses) are replaced by the proxy's; so the broker must advertise itself as `host:port`.
 */
export async function startKafkaProxy(broker: string): Promise<KafkaProxy> {
  const [targetHost = "", portText = ""] = broker.split(":");
  const targetPort = Number(portText);
  const requests = new Map<number, number>();
  const lost = new Map<number, number>();
  let verdict: (apiKey: number) => Verdict = () => "pass";

  const filter = (cut: () => void): ConnectionFilter => {
    const requestFrames = new FrameSplitter();
    const responseFrames = new FrameSplitter();
    const inFlight = new Map<number, number>();

    const answered = (frame: Buffer): readonly Buffer[] => {
      const correlationId = responseCorrelationId(frame);
      const apiKey = inFlight.get(correlationId);
      if (apiKey === undefined) throw new Error(`The broker answered ${correlationId}, which nobody has asked.`);
      inFlight.delete(correlationId);
      const outcome = verdict(apiKey);
      if (outcome === "pass") {
        redirect(apiKey, frame);
        return [frame];
      }
      increment(lost, apiKey);
      if (outcome === "cut") cut();
      return [];
    };
    return {
      request: (chunk) => {
        for (const frame of requestFrames.push(chunk)) {
          const { apiKey, correlationId } = requestHead(frame);
          inFlight.set(correlationId, apiKey);
          increment(requests, apiKey);
        }
        return chunk;
      },
      response: (chunk) => Buffer.concat(responseFrames.push(chunk).flatMap(answered)),
    };
  };

  const redirect = (apiKey: number, frame: Buffer): void => {
    if (apiKey !== apiKeys.metadata && apiKey !== apiKeys.findCoordinator) return;
    const replaced = replacePort(frame, targetHost, targetPort, proxy.port);
    // Otherwise clients would go past the proxy unnoticed.
    if (apiKey === apiKeys.metadata && replaced === 0) {
      throw new Error(`The broker does not advertise itself as ${broker}: its clients cannot be led through a proxy.`);
    }
  };

  const proxy = await startProxy({ targetHost, targetPort, filter });
  return {
    ...proxy,
    brokers: `${proxy.host}:${proxy.port}`,
    setVerdict: (value) => {
      verdict = value;
    },
    requestCount: (apiKey) => requests.get(apiKey) ?? 0,
    lostCount: (apiKey) => lost.get(apiKey) ?? 0,
  };
}

function increment(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
