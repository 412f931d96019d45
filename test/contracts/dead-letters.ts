import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { DeadLetterReader, DeadLetterWriter, Failure, LogRecord } from "../../src/consumers/ports.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { parseDeadLetter } from "../../src/schemas/dead-letter.ts";

/** An empty DLQ for each test. */
export type MakeDeadLetters = () => Promise<{ reader: DeadLetterReader; writer: DeadLetterWriter }>;

const never = new AbortController().signal;

/** What every pair of DeadLetterWriter and DeadLetterReader does. */
export function describeDeadLetters(name: string, make: MakeDeadLetters): void {
  describe(`dead letters: ${name}`, () => {
    test("key, value and the record's own headers are read as they were written, also null", async () => {
      const { reader, writer } = await make();
      const records = [
        { ...record(1n), key: randomBytes(20), value: randomBytes(300), headers: { trace: Buffer.from([0, 255]) } },
        { ...record(2n), key: null, value: randomBytes(3) },
        { ...record(3n), key: randomBytes(3), value: null },
      ];
      for (const each of records) await writer.write(each, failure());
      const read = await scanned(reader);
      expect(read.map(({ key, value }) => ({ key, value }))).toEqual(records.map(({ key, value }) => ({ key, value })));
      expect(read[0]?.headers["trace"]).toEqual(Buffer.from([0, 255]));
    });

    test("the headers say where the record came from and why it failed", async () => {
      const { reader, writer } = await make();
      await writer.write(record(9_007_199_254_740_993n), failure({ attempts: 3 }));
      const [read] = await scanned(reader);
      expect(parseDeadLetter(read?.headers ?? {})).toMatchObject({
        topic: "shop.shop.products",
        partition: 2,
        offset: 9_007_199_254_740_993n,
        stage: "TASK_PUT",
        exceptionClass: "HeadraceError",
        exceptionMessage: "PostgreSQL refused the row",
        code: "VALUE_REFUSED",
        sqlstate: "22003",
        table: "public.products",
        attempts: 3,
      });
    });

    test("after a second failure the headers describe only that one", async () => {
      const { reader, writer } = await make();
      await writer.write(record(1n), failure());
      const [first] = await scanned(reader);
      const again = new HeadraceError("LIMIT_EXCEEDED", { message: "too large" });
      await writer.write({ ...record(1n), headers: first?.headers ?? {} }, failure({ error: again, attempts: 2 }));
      const info = parseDeadLetter((await scanned(reader)).at(-1)?.headers ?? {});
      expect(info).toMatchObject({
        offset: 1n,
        code: "LIMIT_EXCEEDED",
        sqlstate: null,
        exceptionMessage: "too large",
        attempts: 2,
      });
    });

    test("a scan of an empty DLQ visits nothing", async () => {
      const { reader } = await make();
      expect(await scanned(reader)).toEqual([]);
    });

    test("a scan does not visit dead letters that are written during it", async () => {
      const { reader, writer } = await make();
      await writer.write(record(1n), failure());
      await writer.write(record(2n), failure());
      const visited: bigint[] = [];
      await reader.scan(
        async (each) => {
          visited.push(parseDeadLetter(each.headers).offset ?? -1n);
          await writer.write(record(10n + each.offset), failure());
        },
        { signal: never },
      );
      expect(visited).toEqual([1n, 2n]);
      expect(await scanned(reader)).toHaveLength(4);
    });

    test("a scan visits only the records of its range", async () => {
      const { reader, writer } = await make();
      for (const offset of [10n, 11n, 12n, 13n]) await writer.write(record(offset), failure());
      const visited: bigint[] = [];
      const note = (each: LogRecord) => void visited.push(each.offset);
      const end = await reader.end();
      await reader.scan(note, { signal: never, from: end - 3n, to: end - 1n });
      expect(visited).toEqual([end - 3n, end - 2n]);
      await reader.scan(note, { signal: never, from: end - 1n });
      expect(visited).toEqual([end - 3n, end - 2n, end - 1n]);
      await reader.scan(note, { signal: never, from: end });
      await reader.scan(note, { signal: never, from: 1n, to: 1n });
      expect(visited).toHaveLength(3);
    });

    test("an error of the visitor ends the scan", async () => {
      const { reader, writer } = await make();
      await writer.write(record(1n), failure());
      const bug = new TypeError("bug");
      await expect(reader.scan(() => Promise.reject(bug), { signal: never })).rejects.toBe(bug);
    });

    test("an abort ends the scan with its reason", async () => {
      const { reader, writer } = await make();
      for (const offset of [1n, 2n]) await writer.write(record(offset), failure());
      const controller = new AbortController();
      const reason = new Error("stop");
      let visits = 0;
      const scan = reader.scan(
        () => {
          visits += 1;
          controller.abort(reason);
          return Promise.resolve();
        },
        { signal: controller.signal },
      );
      await expect(scan).rejects.toBe(reason);
      expect(visits).toBe(1);
    });
  });
}

async function scanned(reader: DeadLetterReader): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await reader.scan((each) => Promise.resolve(void records.push(each)), { signal: never });
  return records;
}

function record(offset: bigint): LogRecord {
  return {
    topic: "shop.shop.products",
    partition: 2,
    offset,
    key: Buffer.from("key"),
    value: Buffer.from("value"),
    headers: {},
    timestampMs: 1_700_000_000_000,
  };
}

function failure(more: Partial<Failure> = {}): Failure {
  const error = new HeadraceError("VALUE_REFUSED", {
    message: "PostgreSQL refused the row",
    remedy: "",
    details: { sqlstate: "22003" },
  });
  return { error, stage: "TASK_PUT", table: { schema: "public", table: "products" }, attempts: 1, ...more };
}
