// What every ChangeSource must do.
import { expect, test } from "vitest";
import type { ChangeSource, SourceBatch } from "../../src/producers/ports.ts";
import type { Position, Version } from "../../src/schemas/change-event.ts";
import { collect, documentChanges, finalState, keyOfChange } from "../producers/mongodb/source-collector.ts";

export interface SourceUnderTest {
  /** A source of a new process that ends when it has passed `until`. */
  readonly createSource: (until: Version | undefined) => ChangeSource;
  /** Random writes on few keys. */
  readonly write: (count: number) => Promise<void>;
  /** The time after the last write. */
  readonly now: () => Promise<Version>;
  /** All documents in canonical Extended JSON by `collection/key`. */
  readonly documents: () => Promise<Map<string, string>>;
  /** The document of a key (`collection/key`) at a version, by the writer's model; undefined if it had none. */
  readonly documentAt: (key: string, version: Version) => string | undefined;
}

export function changeSourceContract(setUp: () => Promise<SourceUnderTest>): void {
  test("a new pipeline begins with a position and no events", async () => {
    const { createSource } = await setUp();
    const [first] = await collect(createSource(undefined), null, () => true);
    expect(first?.events).toEqual([]);
    expect(first?.position.clusterTime).toBeGreaterThan(0n);
  });

  test("each version is the document at that version, while documents change", async () => {
    const { createSource, write, now, documents, documentAt } = await setUp();
    await write(300);
    const writing = write(1_500);
    const source = createSource(undefined);
    let end: Version | undefined;
    void writing.then(async () => {
      end = await now();
    });
    const batches = await collect(source, null, ({ position }) => end !== undefined && position.clusterTime >= end);
    await writing;
    const changes = documentChanges(batches);
    expect(changes.length).toBeGreaterThan(100);
    for (const change of changes) {
      const state = documentAt(keyOfChange(change), change.version);
      expect(change.document === null ? undefined : finalState([change]).get(keyOfChange(change))).toBe(state);
      expect(change.op === "d").toBe(change.document === null);
    }
    expect(finalState(changes)).toEqual(await documents());
  });

  test("resuming from any position loses nothing", async () => {
    const { createSource, write, now, documents } = await setUp();
    await write(200);
    const writing = write(300);
    const batches = await collect(createSource(undefined), null, ({ events }) => events.some(({ op }) => op !== "r"));
    await writing;
    const until = await now();
    const rest = await collect(createSource(until), batches.at(-1)?.position ?? null);
    const all = [...batches, ...rest];
    const expected = await documents();
    for (let at = 0; at < all.length; at += Math.ceil(all.length / 10)) {
      const again = await collect(createSource(until), all[at]?.position ?? null);
      expect(finalState(documentChanges([...all.slice(0, at + 1), ...again]))).toEqual(expected);
    }
  });

  test("positions and the versions of a key never fall, even if the source is stopped and resumed anywhere", async () => {
    const { createSource, write, now } = await setUp();
    await write(100);
    const writing = write(1_000);
    let position: Position | null = null;
    const batches: SourceBatch[] = [];
    for (let sessions = 0; sessions < 20; sessions++) {
      batches.push(...(await collect(createSource(undefined), position, enough(1 + (sessions % 4)))));
      position = batches.at(-1)?.position ?? null;
    }
    await writing;
    batches.push(...(await collect(createSource(await now()), position)));
    let time = 0n;
    const versions = new Map<string, Version>();
    for (const batch of batches) {
      expect(batch.position.clusterTime).toBeGreaterThanOrEqual(time);
      time = batch.position.clusterTime;
      for (const change of documentChanges([batch])) {
        expect(change.version).toBeLessThanOrEqual(time);
        expect(change.version).toBeGreaterThanOrEqual(versions.get(keyOfChange(change)) ?? 0n);
        versions.set(keyOfChange(change), change.version);
      }
    }
  });

  test("it ends without an error when it is stopped", async () => {
    const { createSource, write } = await setUp();
    await write(10);
    const stopping = new AbortController();
    let batches = 0;
    for await (const _batch of createSource(undefined).read(null, { signal: stopping.signal })) {
      batches++;
      stopping.abort(new Error("enough"));
    }
    expect(batches).toBe(1);
  });
}

/** Ends a reading after so many batches. */
function enough(count: number): () => boolean {
  let batches = 0;
  return () => ++batches >= count;
}
