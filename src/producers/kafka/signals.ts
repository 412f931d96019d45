import { randomUUID } from "node:crypto";
import type { Kafka, KafkaMessage } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { kafkaError } from "../../kafka/errors.ts";
import type { Logger } from "../../runtime/logger.ts";
import { decodeSignal } from "../../schemas/signal.ts";
import type { Signal } from "../../schemas/signal.ts";
import { signalsTopic, transactionalId } from "../../schemas/topics.ts";
import type { LoggedSignal, OpenSignals, SignalLog } from "../ports.ts";

export interface KafkaSignalsOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly logger: Logger;
}

const READING = "reading the signals";

/** The signals topic of a pipeline. A record that is no signal is logged, and given as none. */
export function kafkaSignals(options: KafkaSignalsOptions): SignalLog {
  return { open: (offset) => openSignals(options, offset) };
}

async function openSignals(options: KafkaSignalsOptions, offset: bigint): Promise<OpenSignals> {
  const { kafka, name, logger } = options;
  const { low, high } = await bounds(kafka, signalsTopic(name));
  const start = offset < low || offset > high ? low : offset;
  if (start !== offset) {
    const lost = { expected: String(offset), found: String(low) };
    logger.warn(lost, "signals were deleted from their topic before they were carried out; going on at its start");
  }
  return new KafkaSignals(options, start, high);
}

class KafkaSignals implements OpenSignals {
  readonly start: bigint;
  readonly end: bigint;
  readonly #options: KafkaSignalsOptions;
  readonly #consumer;
  readonly #started: Promise<void>;
  readonly #arrived: LoggedSignal[] = [];
  #next: bigint;
  #isPaused = false;
  #failure: Error | null = null;
  #tell: () => void = () => {};

  constructor(options: KafkaSignalsOptions, start: bigint, end: bigint) {
    this.start = start;
    this.end = end;
    this.#options = options;
    this.#next = start;
    this.#consumer = options.kafka.consumer({
      // kafkajs reads only as a member of a group; this one stores no offsets.
      groupId: `${transactionalId(options.name)}.signals.${randomUUID()}`,
      allowAutoTopicCreation: false,
      // Closing waits for the request under way.
      maxWaitTimeInMs: 250,
      retry: {
        initialRetryTime: 200,
        maxRetryTime: 2_000,
        retries: 15,
        restartOnFailure: () => Promise.resolve(false),
      },
    });
    this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => this.#fail(payload.error));
    this.#started = this.#read().catch((error: unknown) => this.#fail(error));
  }

  take(): LoggedSignal | null {
    const signal = this.#arrived.shift();
    if (signal === undefined && this.#failure !== null) throw this.#failure;
    if (this.#isPaused && this.#arrived.length === 0) {
      this.#isPaused = false;
      this.#consumer.resume([this.#topic]);
    }
    return signal ?? null;
  }

  arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#tell = resolve;
      if (this.#arrived.length > 0 || this.#failure !== null) resolve();
    });
  }

  async close(): Promise<void> {
    await this.#started;
    await this.#consumer.disconnect();
  }

  get #topic(): { readonly topic: string } {
    return { topic: signalsTopic(this.#options.name) };
  }

  async #read(): Promise<void> {
    const consumer = this.#consumer;
    await consumer.connect();
    await consumer.subscribe({ ...this.#topic, fromBeginning: true });
    const running = consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) this.#receive(message);
        // What has not been taken is all that is kept in memory.
        this.#isPaused = this.#arrived.length > 0;
        if (this.#isPaused) consumer.pause([this.#topic]);
      },
    });
    // At once: a consumer that has crashed meanwhile would refuse it, and hide the crash's cause.
    consumer.seek({ ...this.#topic, partition: 0, offset: String(this.start) });
    await running;
  }

  #receive({ offset: text, value }: KafkaMessage): void {
    const offset = BigInt(text);
    // After it has joined its group again, the consumer reads from the start.
    if (offset < this.#next) return;
    this.#next = offset + 1n;
    this.#arrived.push({ offset, signal: readSignal(offset, value, this.#options.logger) });
    this.#tell();
  }

  #fail(error: unknown): void {
    this.#failure ??= kafkaError(error, READING);
    this.#tell();
  }
}

/** Null, and a word in the log, for what is none: it must not stop the producer at every start. */
function readSignal(offset: bigint, value: Buffer | null, logger: Logger): Signal | null {
  try {
    return decodeSignal(String(value));
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    logger.error({ err: error, offset: String(offset) }, "a record of the signals topic is skipped");
    return null;
  }
}

async function bounds(kafka: Kafka, topic: string): Promise<{ low: bigint; high: bigint }> {
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
  try {
    await admin.connect();
    const [partition] = await admin.fetchTopicOffsets(topic);
    return { low: BigInt(partition?.low ?? 0), high: BigInt(partition?.high ?? 0) };
  } catch (error) {
    throw kafkaError(error, READING);
  } finally {
    await admin.disconnect();
  }
}
