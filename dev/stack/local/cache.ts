import { access, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of finished downloads: HEADRACE_CACHE_DIR, else `headrace` in the user's cache directory. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  return env["HEADRACE_CACHE_DIR"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "headrace");
}

/** Whether an entry exists. An existing entry is complete. */
export async function isCached(cache: string, entry: string): Promise<boolean> {
  return await exists(join(cache, entry));
}

/**
 * The folder of a cache entry. If it does not exist, `fill` fills an empty folder, which is then renamed to the entry.
 * So an entry is complete or does not exist, even after an interruption or if several processes fill it at once.
 */
export async function cached(cache: string, entry: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cache, entry);
  if (await exists(target)) return target;
  await mkdir(cache, { recursive: true });
  await removeInterrupted(cache, entry);
  const unfinished = await mkdtemp(`${target}.`);
  try {
    await fill(unfinished);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another process was faster.
    if (!(await exists(target))) throw error;
  }
  return target;
}

/** Removes what killed processes left of an entry. Waits a day, because no download takes that long. */
async function removeInterrupted(cache: string, entry: string): Promise<void> {
  const dayAgo = Date.now() - 24 * 3600 * 1000;
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!name.startsWith(`${entry}.`)) continue;
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < dayAgo) await rm(path, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
