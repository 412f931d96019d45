import { expect, test } from "vitest";
import { replacePort, requestHead, responseCorrelationId } from "./kafka-frames.ts";

test("reads the header fields of requests and responses", () => {
  // size 8, Produce (0) version 7, correlation id 258
  expect(requestHead(Buffer.from("00000008000000070000 0102".replace(" ", ""), "hex"))).toEqual({
    apiKey: 0,
    correlationId: 258,
  });
  expect(responseCorrelationId(Buffer.from("0000000400000102", "hex"))).toBe(258);
});

test("replaces the port at every occurrence of the address and changes no other bytes", () => {
  const address = (port: string): string => `0009${Buffer.from("127.0.0.1").toString("hex")}${port}`;
  const frame = Buffer.from(`00000001${address("00002384")}ffff${address("00002385")}${address("00002384")}`, "hex");
  expect(replacePort(frame, "127.0.0.1", 0x2384, 0xabcd)).toBe(2);
  expect(frame.toString("hex")).toBe(`00000001${address("0000abcd")}ffff${address("00002385")}${address("0000abcd")}`);
});
