import { afterEach, describe, expect, test } from "vitest";
import { startHttpServer } from "../../src/runtime/http-server.ts";
import type { HttpServer, HttpServerOptions } from "../../src/runtime/http-server.ts";
import { createLogger } from "../../src/runtime/logger.ts";
import { createMetrics } from "../../src/runtime/metrics.ts";

const open: HttpServer[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function start(
  options: Partial<HttpServerOptions> = {},
): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    metrics: createMetrics(),
    isReady: () => true,
    status: async () => ({ name: "shop" }),
    logger: createLogger({ level: "silent" }),
    ...options,
  });
  open.push(server);
  return (path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

describe("the HTTP server", () => {
  test("serves the metrics of the process in Prometheus's format", async () => {
    const metrics = createMetrics();
    metrics.rowsApplied.inc({ table: "products" }, 3);
    metrics.lag.set({ topic: "shop.shop.products", partition: 0 }, 7);
    const get = await start({ metrics });
    const response = await get("/metrics");
    expect(response.headers.get("content-type")).toContain("text/plain");
    const text = await response.text();
    expect(text).toContain('headrace_rows_applied_total{table="products"} 3');
    expect(text).toContain('headrace_lag_records{topic="shop.shop.products",partition="0"} 7');
    expect(text).toContain("process_resident_memory_bytes");
  });

  test("is healthy immediately, and ready once the work has started", async () => {
    let ready = false;
    const get = await start({ isReady: () => ready });
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(503);
    ready = true;
    expect((await get("/readyz")).status).toBe(200);
  });

  test("answers with the status as JSON, or with 503 while the status is not available", async () => {
    const get = await start();
    expect(await (await get("/status")).json()).toEqual({ name: "shop" });
    const failing = await start({ status: () => Promise.reject(new Error("no broker")) });
    expect((await failing("/status")).status).toBe(503);
  });

  test("refuses other paths and methods", async () => {
    const get = await start();
    expect((await get("/")).status).toBe(404);
    expect((await get("/metrics", { method: "POST" })).status).toBe(405);
  });

  test("reports that its port is in use", async () => {
    const get = await start();
    const port = Number(new URL((await get("/healthz")).url).port);
    await expect(start({ port })).rejects.toMatchObject({ code: "HTTP_UNAVAILABLE", kind: "fatal" });
  });
});
