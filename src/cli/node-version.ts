import { readPackage } from "./package-info.ts";

/** What is wrong with a version of Node; null if Headrace runs on it. */
export function nodeComplaint(version: string): string | null {
  const oldest = readPackage().engines.node.replace(/^\D*/, "");
  return isOlder(version, oldest) ? `Headrace needs Node.js ${oldest} or later, and this is ${version}.` : null;
}

function isOlder(version: string, oldest: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split(".").map(Number);
  return major === oldestMajor ? minor < oldestMinor : major < oldestMajor;
}
