// Started and killed by supervisor.test.ts: starts a server that ignores SIGINT and SIGHUP, and sends its pid.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Supervisor } from "../../../../dev/stack/local/supervisor.ts";

const supervisor = await Supervisor.start(() => {});
const { folder } = supervisor;
const pidFile = join(folder, "pid");
const server = {
  name: "Server",
  command: "sh",
  args: ["-c", `trap '' INT HUP; echo $$ > tmp; mv tmp pid; while :; do sleep 0.05; done`],
  cwd: folder,
  logFile: join(folder, "server.log"),
  stopSignal: "SIGTERM" as const,
};
await supervisor.serve(server, new AbortController().signal, async () => {
  if (!existsSync(pidFile)) throw new Error("not yet");
});
process.send?.({ folder, pid: Number(readFileSync(pidFile, "utf8")) });
