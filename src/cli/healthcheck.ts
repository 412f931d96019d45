// The image's HEALTHCHECK: asks the Headrace in this container for /healthz, at the address from headrace.yaml.
// Without `http` in the config nothing listens, so nothing is asked: a running process counts as healthy.
import { loadConfig } from "../config/load-config.ts";

const { http } = await loadConfig("headrace.yaml");
if (http !== undefined) {
  const host = http.host.includes(":") ? `[${http.host}]` : http.host;
  const response = await fetch(`http://${host}:${http.port}/healthz`);
  if (!response.ok) throw new Error(`/healthz answered with status ${response.status}`);
}
