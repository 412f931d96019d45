import { readdir, readFile, readlink } from "node:fs/promises";

/** Linux counts CPU times in hundredths of a second here, whatever the kernel's own clock is (man 5 proc_pid_stat). */
const TICKS_PER_SECOND = 100;

/** CPU seconds by process id. */
export type CpuTimes = ReadonlyMap<number, number>;

/** The CPU times of those processes that still run. Linux only. */
export async function cpuTimesOf(pids: readonly number[]): Promise<CpuTimes> {
  const times = await Promise.all(pids.map(async (pid) => [pid, (await statOf(pid))?.cpuSeconds] as const));
  return new Map(times.flatMap(([pid, seconds]) => (seconds === undefined ? [] : [[pid, seconds] as const])));
}

/** The CPU seconds between two looks. Of processes that ended in between it knows nothing. */
export function cpuSecondsBetween(before: CpuTimes, after: CpuTimes): number {
  return [...after].reduce((sum, [pid, seconds]) => sum + seconds - (before.get(pid) ?? 0), 0);
}

/** The CPU seconds that all processes of the machine have taken since it started. Linux only. */
export async function machineCpuSeconds(): Promise<number> {
  const [user = 0, nice = 0, system = 0, _idle, _iowait, irq = 0, softirq = 0] = (await readFile("/proc/stat", "utf8"))
    .replace(/^cpu\s+/, "")
    .split(/\s/, 7)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/** The highest resident memory that one of the processes has had, MB. Linux only. */
export async function peakMemoryMbOf(pids: readonly number[]): Promise<number> {
  const peaks = pids.map(async (pid) => {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024;
  });
  return Math.max(0, ...(await Promise.all(peaks)));
}

/** The process that listens on a port of this machine, and its children. None where the server runs elsewhere. */
export async function processesOfServer(port: number): Promise<readonly number[]> {
  const [inodes, pids] = [await listeningOn(port), await allPids()];
  const owners: number[] = [];
  for (const pid of pids) if (await hasSocket(pid, inodes)) owners.push(pid);
  const stats = await Promise.all(pids.map(async (pid) => ({ pid, parent: (await statOf(pid))?.parent ?? 0 })));
  const children = stats.filter(({ parent }) => owners.includes(parent)).map(({ pid }) => pid);
  return [...new Set([...owners, ...children])];
}

async function allPids(): Promise<readonly number[]> {
  return (await readdir("/proc")).map(Number).filter((pid) => pid > 0);
}

interface Stat {
  readonly parent: number;
  readonly cpuSeconds: number;
}

/** Undefined: the process has ended. */
async function statOf(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name in front may have spaces and parentheses. After it come state, parent, …, and as 12th and 13th the times.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  return { parent: Number(fields[1]), cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND };
}

const LISTENING = "0A";

/** The inodes of the sockets that listen on a port (man 5 proc_pid_net). */
async function listeningOn(port: number): Promise<ReadonlySet<string>> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  const rows = tables.flatMap((table) => table.split("\n").map((line) => line.trim().split(/\s+/)));
  const found = rows.filter(([, local = "", , state]) => state === LISTENING && local.endsWith(wanted));
  return new Set(found.flatMap((row) => row[9] ?? []));
}

async function hasSocket(pid: number, inodes: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const files = await readdir(folder).catch(() => []);
  const targets = await Promise.all(files.map((file) => readlink(`${folder}/${file}`).catch(() => "")));
  return targets.some((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? ""));
}
