// The image's HEALTHCHECK: asks the Headrace in this container for /healthz, at the address that headrace.yaml gives it.
// Where that has no `http`, nothing listens and nothing is asked: a process that runs counts as healthy.
import { loadConfig } from "../config/load-config.ts";

const { http } = await loadConfig("headrace.yaml");
if (http !== undefined) {
  const host = http.host.includes(":") ? `[${http.host}]` : http.host;
  const response = await fetch(`http://${host}:${http.port}/healthz`);
  if (!response.ok) throw new Error(`/healthz answers ${response.status}`);
}
