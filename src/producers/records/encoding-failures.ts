import type { HeadraceError } from "../../errors/error.ts";
import { DeadLetterWindow } from "../../runtime/dead-letter-window.ts";
import type { DeadLetterLimits } from "../../runtime/dead-letter-window.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { DocumentEvent } from "../../schemas/change-event.ts";
import type { ProducerObserver } from "../ports.ts";

export interface EncodingFailuresOptions {
  readonly limits: DeadLetterLimits;
  readonly observer: Pick<ProducerObserver, "deadLetter">;
  readonly logger: Logger;
}

/** A thousand failures of one kind come in a few seconds, in many batches. */
const REPORT_DELAY_MS = 10_000;

/** The failures of the events of one batch. They count once the batch is published: until then it may be made again. */
export class BatchFailures {
  readonly window: DeadLetterWindow;
  readonly failed: { readonly collection: string; readonly code: string }[] = [];

  constructor(window: DeadLetterWindow) {
    this.window = window;
  }

  succeeded(): void {
    this.window.succeeded(1);
  }

  /** @throws HeadraceError DEAD_LETTER_WINDOW */
  deadLetter({ collection, deadLetter }: DocumentEvent, error: HeadraceError): void {
    // A repeated dead letter is no new one: an operator may replay any number of them.
    if (deadLetter === undefined) this.window.deadLetter(error);
    this.failed.push({ collection, code: error.code });
  }
}

/** The documents that became dead letters: keeps them under the window, counts them, and reports them in the log. */
export class EncodingFailures {
  readonly #options: EncodingFailuresOptions;
  #window: DeadLetterWindow;
  #batch: BatchFailures | null = null;
  #unreported = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EncodingFailuresOptions) {
    this.#options = options;
    this.#window = new DeadLetterWindow(options.limits, "documents could not be encoded");
  }

  /** Begins a batch. What is known of one that was not published is forgotten. */
  begin(): BatchFailures {
    return (this.#batch = new BatchFailures(this.#window.copy()));
  }

  /** Counts the failures of the last batch. */
  published(): void {
    if (this.#batch === null) return;
    const { window, failed } = this.#batch;
    this.#batch = null;
    this.#window = window;
    for (const { collection, code } of failed) {
      this.#options.observer.deadLetter?.(collection, code);
      const kind = `${collection}: ${code}`;
      this.#unreported.set(kind, (this.#unreported.get(kind) ?? 0) + 1);
    }
    if (failed.length > 0) this.#timer ??= setTimeout(() => this.report(), REPORT_DELAY_MS).unref();
  }

  /** Logs the failures since the last report, with the number of each kind. */
  report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unreported.size === 0) return;
    this.#options.logger.warn(
      { failures: Object.fromEntries(this.#unreported) },
      "documents could not be encoded; their keys went to the dead letter topic",
    );
    this.#unreported = new Map();
  }
}
