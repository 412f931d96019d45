import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { kafkaSocket } from "../../../src/kafka/wire/socket.ts";

/** A server that does as it is told with each connection that has said something; gives its port. */
async function serve(answer: (connection: Socket) => void): Promise<number> {
  const server = createServer((connection) => {
    connection.on("error", () => {});
    connection.once("data", () => answer(connection));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function frameOf(body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

test("data is passed on in whole frames, and a connection's incomplete frame is dropped with it", async () => {
  const frames = [Buffer.from("one"), Buffer.from("another"), Buffer.alloc(100_000, "x")].map(frameOf);
  const bytes = Buffer.concat([...frames, frameOf(Buffer.alloc(100)).subarray(0, 50)]);
  const port = await serve((connection) => {
    for (let at = 0; at < bytes.length; at += 999) connection.write(bytes.subarray(at, at + 999));
    connection.end();
  });
  for (let connections = 0; connections < 2; connections++) {
    const socket = kafkaSocket({ host: "127.0.0.1", port, onConnect: () => socket.write("go") });
    const received: Buffer[] = [];
    socket.on("data", (data: Buffer) => received.push(data));
    await once(socket, "close");
    expect(received).toEqual(frames);
  }
});
