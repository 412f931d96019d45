import type { Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { followPartition } from "../../kafka/topic-reader.ts";
import { fetchEndOffsets } from "../../kafka/topics.ts";
import type { FetchedRecord } from "../../kafka/wire/record-batch.ts";
import type { Logger } from "../../runtime/logger.ts";
import { decodeSignal } from "../../schemas/signal.ts";
import type { Signal } from "../../schemas/signal.ts";
import { signalsTopic } from "../../schemas/topics.ts";
import type { LoggedSignal, OpenSignals, SignalLog } from "../ports.ts";

export interface KafkaSignalsOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly logger: Logger;
}

/** The signals topic of a pipeline. A record that is no signal is logged, and `take` returns it without a signal. */
export function kafkaSignals(options: KafkaSignalsOptions): SignalLog {
  return { open: (offset) => openSignals(options, offset) };
}

async function openSignals(options: KafkaSignalsOptions, offset: bigint): Promise<OpenSignals> {
  const { kafka, name } = options;
  const [end] = await fetchEndOffsets(kafka, [signalsTopic(name)]);
  return new KafkaSignals(options, offset, end?.offset ?? 0n);
}

class KafkaSignals implements OpenSignals {
  readonly end: bigint;
  readonly #options: KafkaSignalsOptions;
  readonly #start: bigint;
  readonly #closing = new AbortController();
  readonly #reading: Promise<void>;
  readonly #arrived: LoggedSignal[] = [];
  #next: bigint;
  #failure: { readonly error: unknown } | undefined;
  #wakeTaker: () => void = () => {};
  #wakeReader: () => void = () => {};

  constructor(options: KafkaSignalsOptions, start: bigint, end: bigint) {
    this.#start = start;
    this.end = end;
    this.#options = options;
    this.#next = start;
    this.#reading = this.#read();
  }

  take(): LoggedSignal | null {
    const signal = this.#arrived.shift();
    if (signal === undefined && this.#failure !== undefined) throw this.#failure.error;
    if (this.#arrived.length === 0) this.#wakeReader();
    return signal ?? null;
  }

  arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeTaker = resolve;
      if (this.#arrived.length > 0 || this.#failure !== undefined) resolve();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wakeReader();
    await this.#reading;
  }

  /** Reads on only when everything was taken: no more than one response is in memory. */
  async #read(): Promise<void> {
    const { kafka, name } = this.#options;
    const { signal } = this.#closing;
    const place = { topic: signalsTopic(name), partition: 0, from: this.#start, isPatient: () => true };
    try {
      for await (const { records } of followPartition(kafka, { ...place, signal, doing: "reading the signals" })) {
        for (const record of records) this.#receive(record);
        while (this.#arrived.length > 0 && !signal.aborted) await this.#untilTaken();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = { error };
      this.#wakeTaker();
    }
  }

  #untilTaken(): Promise<void> {
    return new Promise((resolve) => (this.#wakeReader = resolve));
  }

  #receive({ offset, value }: FetchedRecord): void {
    // A topic that is created again meanwhile begins with lower offsets: `TopicWatch` notices it.
    if (offset < this.#next) return;
    this.#next = offset + 1n;
    this.#arrived.push({ offset, signal: readSignal(offset, value, this.#options.logger) });
    this.#wakeTaker();
  }
}

/** Null for a record that is no signal. It is only logged: an error would stop the producer at every start. */
function readSignal(offset: bigint, value: Buffer | null, logger: Logger): Signal | null {
  try {
    return decodeSignal(String(value));
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    logger.error({ err: error, offset: String(offset) }, "skipping a record of the signals topic that is no signal");
    return null;
  }
}
