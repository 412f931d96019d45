import { expect, test } from "vitest";
import { chooseStack } from "../../../dev/stack/choice.ts";

const one = { kafkaBrokers: "127.0.0.1:2" };
const all = {
  ...one,
  mongodbUri: "mongodb://127.0.0.1:1/?replicaSet=a",
  schemaRegistryUrl: "http://127.0.0.1:3",
  postgresUrl: "postgres://a:b@127.0.0.1:4/postgres",
};

test.each([
  ["no address: Docker if possible, else local processes", {}, "docker, else local"],
  ["some addresses: local processes for the other servers", one, "env, else local"],
  ["all addresses: no server is started", all, "env"],
] as const)("without HEADRACE_STACK and with %s", (_, given, choice) => {
  expect(chooseStack("", given)).toBe(choice);
});

test.each(["env", "local", "docker"])("HEADRACE_STACK=%s wins over the addresses", (choice) => {
  for (const given of [{}, one, all]) expect(chooseStack(choice, given)).toBe(choice);
});

test("the error for another value lists the allowed ones", () => {
  const choose = (): unknown => chooseStack("podman", all);
  expect(choose).toThrow('HEADRACE_STACK is "podman": use env, docker or local, or leave it unset.');
});
