import { once } from "node:events";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { onTestFinished } from "vitest";

/** For the host name "elsewhere", signed by itself, for a hundred years. */
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJqPhlBY0NNSTce7S
45uPby5aUsaw2jVEg+bOkPtAlb6hRANCAATBxIsLW7L3HQwVC0SYxYz9E8hx5eWk
bTxu50EJJEwap7f7jtJr2aqTlqrxW3j6q2HUaZJpAPWiAJkZZZxpBSQf
-----END PRIVATE KEY-----
`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUe+DQsLjESbLHYnDrz8rO5f9mKwkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJZWxzZXdoZXJlMCAXDTI2MTEyODE3NTMxMFoYDzIxMjYxMTA0
MTc1MzEwWjAUMRIwEAYDVQQDDAllbHNld2hlcmUwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATBxIsLW7L3HQwVC0SYxYz9E8hx5eWkbTxu50EJJEwap7f7jtJr2aqT
lqrxW3j6q2HUaZJpAPWiAJkZZZxpBSQfo2kwZzAdBgNVHQ4EFgQUkmwh4HHWUGOH
WT411kg4o0ym2tQwHwYDVR0jBBgwFoAUkmwh4HHWUGOHWT411kg4o0ym2tQwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALggllbHNld2hlcmUwCgYIKoZIzj0EAwID
RwAwRAIgQABr8N881kNc7jubmiyaEpVIucF0nSxLOFFCLLdZ0vICIFzwbmfNoMfv
/nnVHnBZWBnUQjUmS3ESi4/Mr+J5OioD
-----END CERTIFICATE-----
`;

/** TLS in front of a server. It ends with the test. @param address `host:port` @returns the proxy's own */
export async function startTlsProxy(address: string): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  const server = createServer({ key: KEY, cert: CERTIFICATE }, (client) => {
    const upstream = connect(Number(port), host);
    for (const socket of [client, upstream])
      socket.on("error", () => {
        client.destroy();
        upstream.destroy();
      });
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
