// What every Session keeps to, whatever is behind it.
import { expect, test } from "vitest";
import type { OpenSession } from "../../src/producers/ports.ts";
import type { DocumentEvent, Position } from "../../src/schemas/change-event.ts";

export interface SessionsUnderTest {
  /** As a process that is started now would open its sessions. */
  readonly startProcess: () => OpenSession;
  /** The versions of the events that readers see, in order. */
  readonly published: () => Promise<bigint[]>;
}

const signal = new AbortController().signal;

function position(clusterTime: bigint): Position {
  return {
    resumeToken: `82${clusterTime}`,
    clusterTime,
    cluster: "set/1",
    horizon: 0n,
    snapshots: new Map(),
    signals: { offset: 0n, after: null },
  };
}

function event(version: bigint): DocumentEvent {
  return { op: "c", collection: "things", documentKey: Buffer.of(1), document: Buffer.of(2), version };
}

export function sessionContract(setUp: () => Promise<SessionsUnderTest>): void {
  test("a new pipeline has no position", async () => {
    const { startProcess } = await setUp();
    const session = await startProcess()({ signal });
    expect(session.position).toBeNull();
    await session.close();
  });

  test("the next session has the last position, and readers have the events", async () => {
    const { startProcess, published } = await setUp();
    const session = await startProcess()({ signal });
    const versions = Array.from({ length: 250 }, (_, index) => BigInt(index + 1));
    for (const version of versions) await session.publish({ events: [event(version)], position: position(version) });
    await session.close();
    const next = await startProcess()({ signal });
    expect(next.position).toEqual(position(250n));
    await next.close();
    expect(await published()).toEqual(versions);
  });

  test("after close, readers see everything that the session published", async () => {
    const { startProcess, published } = await setUp();
    const open = startProcess();
    const versions = [1n, 2n, 3n, 4n, 5n];
    for (const [index, version] of versions.entries()) {
      const session = await open({ signal });
      await session.publish({ events: [event(version)], position: position(version) });
      await session.close();
      expect(await published()).toEqual(versions.slice(0, index + 1));
    }
  });

  test("a position is found again after many sessions that published nothing", async () => {
    const { startProcess } = await setUp();
    const open = startProcess();
    const first = await open({ signal });
    await first.publish({ events: [], position: position(7n) });
    await first.close();
    for (let sessions = 0; sessions < 70; sessions++) await (await open({ signal })).close();
    const last = await startProcess()({ signal });
    expect(last.position).toEqual(position(7n));
    await last.close();
  });

  test("a position before the stored one is refused", async () => {
    const { startProcess } = await setUp();
    const session = await startProcess()({ signal });
    await session.publish({ events: [], position: position(2n) });
    await expect(session.publish({ events: [], position: position(1n) })).rejects.toMatchObject({
      code: "POSITION_WENT_BACK",
      kind: "fatal",
    });
    await session.close();
  });

  test("of two processes with one name, the older one must stop, and nothing that it writes is visible", async () => {
    const { startProcess, published } = await setUp();
    const openOlder = startProcess();
    const older = await openOlder({ signal });
    await older.publish({ events: [event(1n)], position: position(1n) });
    const openYounger = startProcess();
    const younger = await openYounger({ signal });
    expect(younger.position).toEqual(position(1n));
    await expect(older.publish({ events: [event(2n)], position: position(2n) })).rejects.toMatchObject({
      kind: "retryable",
    });
    await older.close();
    await younger.publish({ events: [event(3n)], position: position(3n) });
    await expect(openOlder({ signal })).rejects.toMatchObject({ code: "FENCED", kind: "fatal" });
    // The older one has fenced the younger by looking; that one goes on in a session of its own.
    await expect(younger.publish({ events: [event(4n)], position: position(4n) })).rejects.toMatchObject({
      kind: "retryable",
    });
    await younger.close();
    const again = await openYounger({ signal });
    expect(again.position).toEqual(position(3n));
    await again.publish({ events: [event(4n)], position: position(4n) });
    await again.close();
    expect(await published()).toEqual([1n, 3n, 4n]);
  });

  test("a session does not open after the signal has aborted", async () => {
    const { startProcess } = await setUp();
    const reason = new Error("stop");
    await expect(startProcess()({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
}
