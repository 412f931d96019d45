import { expect, test } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import type { ChangeSource, Session, SourceBatch } from "../../src/producers/ports.ts";
import { produce } from "../../src/producers/producer.ts";
import type { Position } from "../../src/schemas/change-event.ts";
import { silentLogger } from "./mongodb/source-collector.ts";

const LAST = 5n;

function positionAt(clusterTime: bigint): Position {
  return {
    resumeToken: null,
    clusterTime,
    cluster: "set",
    horizon: 0n,
    snapshots: new Map(),
    signals: { offset: 0n, after: null },
  };
}

/** Batches 1 to LAST, from any position on. */
const source: ChangeSource = {
  async *read(from, { signal }): AsyncGenerator<SourceBatch, void, void> {
    for (let at = (from?.clusterTime ?? 0n) + 1n; at <= LAST && !signal.aborted; at++) {
      yield { events: [], position: positionAt(at) };
    }
  },
};

function failure(kind: "retryable" | "fatal"): HeadraceError {
  return new HeadraceError("KAFKA_UNEXPECTED", { kind, message: "it fails" });
}

/** Sessions on a log in memory. Each publish throws the next of `faults`, unless it is undefined. */
function sessions(faults: (Error | undefined)[] = []) {
  const log: bigint[] = [];
  const open = { opened: 0, closed: 0 };
  const openSession = async (): Promise<Session> => {
    open.opened++;
    const last = log.at(-1);
    return {
      position: last === undefined ? null : positionAt(last),
      publish: async ({ position: { clusterTime } }) => {
        const fault = faults.shift();
        if (fault !== undefined) throw fault;
        log.push(clusterTime);
      },
      close: async () => {
        open.closed++;
      },
    };
  };
  return { log, open, openSession };
}

const signal = new AbortController().signal;

test("publishes every batch, reports each, closes the session and ends with the source", async () => {
  const { log, open, openSession } = sessions();
  const told: bigint[] = [];
  const observer = { published: ({ position }: SourceBatch) => told.push(position.clusterTime) };
  await produce({ openSession, source, observer, logger: silentLogger }, { signal });
  expect(log).toEqual([1n, 2n, 3n, 4n, 5n]);
  expect(told).toEqual(log);
  expect(open).toEqual({ opened: 1, closed: 1 });
});

test("a retryable error ends the session; the next session resumes at the stored position", async () => {
  const { log, open, openSession } = sessions([undefined, failure("retryable"), failure("retryable")]);
  await produce({ openSession, source, observer: {}, logger: silentLogger }, { signal });
  expect(log).toEqual([1n, 2n, 3n, 4n, 5n]);
  expect(open).toEqual({ opened: 3, closed: 3 });
});

test("after published changes, the next failure is a first one: it waits short, and the log says so", async () => {
  const attempts: unknown[] = [];
  const info = (fields: object) => attempts.push("attempt" in fields ? fields.attempt : undefined);
  const outage = [failure("retryable"), failure("retryable"), failure("retryable")];
  const { log, openSession } = sessions([...outage, undefined, undefined, failure("retryable")]);
  await produce({ openSession, source, observer: {}, logger: { ...silentLogger, info } }, { signal });
  expect(log).toEqual([1n, 2n, 3n, 4n, 5n]);
  expect(attempts).toEqual([1, 2, 3, 1]);
});

test("a fatal error closes the session and is thrown", async () => {
  const error = failure("fatal");
  const { log, open, openSession } = sessions([undefined, error]);
  await expect(produce({ openSession, source, observer: {}, logger: silentLogger }, { signal })).rejects.toBe(error);
  expect(log).toEqual([1n]);
  expect(open).toEqual({ opened: 1, closed: 1 });
});

test("when stopped, it publishes the current batch and ends without an error", async () => {
  const { log, open, openSession } = sessions();
  const stopping = new AbortController();
  const observer = { published: () => stopping.abort(new Error("stop")) };
  await produce({ openSession, source, observer, logger: silentLogger }, { signal: stopping.signal });
  expect(log).toEqual([1n]);
  expect(open).toEqual({ opened: 1, closed: 1 });
});

test("it can be stopped while it waits for a retry", async () => {
  const stopping = new AbortController();
  const reason = new Error("stop");
  const openSession = async (): Promise<Session> => {
    setImmediate(() => stopping.abort(reason));
    throw failure("retryable");
  };
  const produced = produce({ openSession, source, observer: {}, logger: silentLogger }, { signal: stopping.signal });
  await expect(produced).rejects.toBe(reason);
});
