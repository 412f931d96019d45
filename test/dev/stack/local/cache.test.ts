import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cacheFolder, cached, isCached } from "../../../../dev/stack/local/cache.ts";

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "headrace-test-"));
});

afterEach(() => rm(cache, { recursive: true }));

test("the environment chooses the folder", () => {
  expect(cacheFolder({ HEADRACE_CACHE_DIR: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
  expect(cacheFolder({ HEADRACE_CACHE_DIR: "", XDG_CACHE_HOME: "/b" })).toBe("/b/headrace");
  expect(cacheFolder({})).toMatch(/\/\.cache\/headrace$/);
});

test("an entry is filled once", async () => {
  let fills = 0;
  const fill = async (folder: string): Promise<void> => {
    fills++;
    await writeFile(join(folder, "file"), "content");
  };
  const first = await cached(cache, "thing-1", fill);
  expect(await cached(cache, "thing-1", fill)).toBe(first);
  expect(fills).toBe(1);
  expect(await readFile(join(first, "file"), "utf8")).toBe("content");
});

test("a failed fill leaves nothing, and the next one succeeds", async () => {
  const failing = cached(cache, "thing-1", async (folder) => {
    await writeFile(join(folder, "half"), "");
    throw new Error("no network");
  });
  await expect(failing).rejects.toThrow("no network");
  expect(await readdir(cache)).toEqual([]);
  expect(await isCached(cache, "thing-1")).toBe(false);
  await cached(cache, "thing-1", async () => {});
  expect(await isCached(cache, "thing-1")).toBe(true);
});

test("two concurrent fills both get a complete entry, and one copy stays", async () => {
  const barrier = Promise.withResolvers<void>();
  let waiting = 0;
  const fill = async (folder: string): Promise<void> => {
    if (++waiting === 2) barrier.resolve();
    await barrier.promise;
    await writeFile(join(folder, "file"), "content");
  };
  const [one, other] = await Promise.all([cached(cache, "thing-1", fill), cached(cache, "thing-1", fill)]);
  expect(one).toBe(other);
  expect(await readdir(cache)).toEqual(["thing-1"]);
  expect(await readdir(one)).toEqual(["file"]);
});

test("removes what a killed fill left after a day, but not of another entry", async () => {
  for (const name of ["thing-1.old", "thing-1.new", "thing-2.old"]) await mkdir(join(cache, name));
  const longAgo = new Date(Date.now() - 25 * 3600 * 1000);
  for (const name of ["thing-1.old", "thing-2.old"]) await utimes(join(cache, name), longAgo, longAgo);
  await cached(cache, "thing-1", async () => {});
  expect((await readdir(cache)).sort()).toEqual(["thing-1", "thing-1.new", "thing-2.old"]);
});
