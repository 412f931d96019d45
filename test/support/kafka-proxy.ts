import { FrameSplitter } from "../../src/kafka/wire/frame-splitter.ts";
import { KAFKA_FRAME } from "../../src/kafka/wire/socket.ts";
import { replacePort, requestHead, responseCorrelationId } from "./kafka-frames.ts";
import { startProtocolProxy } from "./protocol-proxy.ts";
import type { Protocol, ProtocolProxy } from "./protocol-proxy.ts";

/** Api keys of Kafka's protocol (https://kafka.apache.org/protocol#protocol_api_keys). */
export const apiKeys = {
  produce: 0,
  fetch: 1,
  metadata: 3,
  offsetCommit: 8,
  findCoordinator: 10,
  joinGroup: 11,
  saslHandshake: 17,
  apiVersions: 18,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  endTxn: 26,
  saslAuthenticate: 36,
} as const;

/** A proxy in front of a single broker. Kinds are api keys; a response has the one of its request. */
export interface KafkaProxy extends ProtocolProxy<number> {
  /** The proxy's address for clients. All their connections go through the proxy. */
  readonly brokers: string;
}

/**
 * Starts a proxy in front of the one broker `host:port`, which must be its advertised address. In Metadata and
 * FindCoordinator responses, replaces this address by the proxy's.
 */
export async function startKafkaProxy(broker: string): Promise<KafkaProxy> {
  const [host = "", portText = ""] = broker.split(":");
  const port = Number(portText);

  const redirect = (apiKey: number, frame: Buffer): void => {
    if (apiKey !== apiKeys.metadata && apiKey !== apiKeys.findCoordinator) return;
    const replaced = replacePort(frame, host, port, proxy.port);
    // Otherwise clients would bypass the proxy unnoticed.
    if (apiKey === apiKeys.metadata && replaced === 0) {
      throw new Error(`The broker does not advertise the address ${broker}. Its clients would bypass the proxy.`);
    }
  };

  const createProtocol = (): Protocol<number> => {
    const requestFrames = new FrameSplitter(KAFKA_FRAME);
    const responseFrames = new FrameSplitter(KAFKA_FRAME);
    const inFlight = new Map<number, number>();
    return {
      request: (chunk) =>
        requestFrames.push(chunk).map((bytes) => {
          const { apiKey, correlationId } = requestHead(bytes);
          inFlight.set(correlationId, apiKey);
          return { bytes, kind: apiKey };
        }),
      response: (chunk) =>
        responseFrames.push(chunk).map((bytes) => {
          const correlationId = responseCorrelationId(bytes);
          const kind = inFlight.get(correlationId);
          if (kind === undefined) throw new Error(`The broker answered the unknown request ${correlationId}.`);
          inFlight.delete(correlationId);
          redirect(kind, bytes);
          return { bytes, kind };
        }),
    };
  };

  const proxy = await startProtocolProxy({ host, port }, createProtocol);
  return { ...proxy, brokers: `${proxy.host}:${proxy.port}` };
}
