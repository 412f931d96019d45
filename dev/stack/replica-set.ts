// Forms a replica set of running mongods, and finds its primary.
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import type { Db, Document } from "mongodb";
import { REPLICA_SET } from "./server-settings.ts";
import type { Restart, StartedServer } from "./types.ts";

/** A mongod that answers. */
export interface MemberServer {
  /** `host:port`, as clients and the other members reach it. */
  readonly host: string;
  readonly restart: Restart;
}

/**
 * Forms a replica set, even of one member, because change streams and transactions need one. `restart` crashes the
 * primary.
 */
export async function formReplicaSet(members: readonly MemberServer[], signal: AbortSignal): Promise<StartedServer> {
  const hosts = members.map(({ host }) => host);
  await repeatUntil(signal, () => becomesPrimary(hosts));
  return {
    url: `mongodb://${hosts.join(",")}/?replicaSet=${REPLICA_SET}`,
    restart: async (whileStopped) => {
      await members[await primaryOf(hosts)]?.restart(whileStopped);
      await repeatUntil(signal, () => primaryOf(hosts));
    },
  };
}

export async function memberAnswers(host: string): Promise<void> {
  await onMember(host, ({ hello }) => hello());
}

/** Initiates the replica set, unless that was done before. Throws while there is no primary. */
async function becomesPrimary(hosts: readonly string[]): Promise<void> {
  await onMember(hosts[0] ?? "", async ({ hello, admin }) => {
    if ((await hello()).setName !== undefined) return;
    const members = hosts.map((host, _id) => ({ _id, host }));
    await admin.command({ replSetInitiate: { _id: REPLICA_SET, members, settings: { electionTimeoutMillis: 4_000 } } });
  });
  await primaryOf(hosts);
}

/** The index of the primary; throws while there is none, or while a member cannot be used yet. */
async function primaryOf(hosts: readonly string[]): Promise<number> {
  const states = await Promise.all(hosts.map((host) => onMember(host, ({ hello }) => hello())));
  const primary = states.findIndex(({ isWritablePrimary }) => isWritablePrimary === true);
  const isComplete = states.every(
    ({ isWritablePrimary, secondary }) => isWritablePrimary === true || secondary === true,
  );
  if (primary === -1 || !isComplete) throw new Error("The replica set is not complete yet.");
  return primary;
}

interface Member {
  readonly admin: Db;
  readonly hello: () => Promise<Document>;
}

async function onMember<T>(host: string, work: (member: Member) => Promise<T>): Promise<T> {
  const client = new MongoClient(`mongodb://${host}/?directConnection=true`, { serverSelectionTimeoutMS: 2000 });
  try {
    const admin = client.db("admin");
    return await work({ admin, hello: () => admin.command({ hello: 1 }) });
  } finally {
    await client.close();
  }
}

/** Retries every error for two minutes: during an election, a server may answer anything. */
async function repeatUntil(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() > deadline) throw error;
    }
    await sleep(50);
  }
}
