import type { Kafka } from "kafkajs";
import { kafkaError, withoutOffset } from "../kafka/errors.ts";
import { plainProducer } from "../kafka/plain-producer.ts";
import { encodeSignal } from "../schemas/signal.ts";
import type { Signal } from "../schemas/signal.ts";
import { signalsTopic } from "../schemas/topics.ts";

/**
 * Writes signals to the signals topic, in order. The topic must exist. The producer carries out each record, so a signal
 * that is written twice is carried out twice.
 * @returns the offset of the last signal
 * @throws HeadraceError, SIGNAL_INVALID among them
 */
export async function sendSignals(kafka: Kafka, name: string, signals: readonly Signal[]): Promise<bigint> {
  const producer = plainProducer(kafka);
  const values = signals.map(encodeSignal);
  const topic = signalsTopic(name);
  let offset = -1n;
  try {
    await producer.connect();
    for (const value of values) {
      const [sent] = await producer.send({ topic, acks: -1, messages: [{ value, partition: 0 }] });
      if (sent?.baseOffset === undefined) throw withoutOffset(topic);
      offset = BigInt(sent.baseOffset);
    }
    return offset;
  } catch (error) {
    throw kafkaError(error, `sending a signal to the topic ${topic}`);
  } finally {
    await producer.disconnect();
  }
}
