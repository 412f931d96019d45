import { MongoClient, MongoParseError } from "mongodb";
import type { Db, Document, Timestamp } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import { versionOf } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";
import { mongoError } from "./errors.ts";

export interface MongoOptions {
  /** May hold credentials: never logged. */
  readonly uri: string;
  readonly database: string;
}

/** Long enough for an election. */
const SELECTION_TIMEOUT_MS = 15_000;
const OLDEST_VERSION = 5;

/**
 * Connects and checks that the server is what Headrace needs.
 * @throws HeadraceError MONGODB_NOT_REPLICA_SET, MONGODB_TOO_OLD, MONGODB_URI_INVALID, or what connecting gives
 */
export async function connectMongo({ uri, database }: MongoOptions): Promise<MongoClient> {
  let client: MongoClient;
  try {
    client = new MongoClient(uri, { appName: "headrace", serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS });
    await client.connect();
  } catch (error) {
    if (error instanceof MongoParseError) throw invalidUri(error);
    throw mongoError(error, "connecting");
  }
  try {
    await checkServer(client.db(database));
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function checkServer(db: Db): Promise<void> {
  const hello = await adminCommand(db, { hello: 1 }, "asking for the server's role");
  if (typeof hello["setName"] !== "string") throw notReplicaSet(hello["msg"] === "isdbgrid");
  const { version } = (await adminCommand(db, { buildInfo: 1 }, "asking for the server's version")) as {
    version: string;
  };
  if (Number.parseInt(version, 10) < OLDEST_VERSION) throw tooOld(version);
}

/**
 * The identity of the replica set: its name and, where the user may read it, its id. Names are often alike,
 * ids never.
 */
export async function clusterIdentity(db: Db): Promise<string> {
  const { setName } = (await adminCommand(db, { hello: 1 }, "asking for the server's role")) as { setName: string };
  try {
    const { config } = (await db.admin().command({ replSetGetConfig: 1 })) as {
      config: { settings?: { replicaSetId?: { toHexString(): string } } };
    };
    const id = config.settings?.replicaSetId?.toHexString();
    return id === undefined ? setName : `${setName}/${id}`;
  } catch (error) {
    const classified = mongoError(error, "asking for the replica set's id");
    if (classified.code !== "MONGODB_FORBIDDEN") throw classified;
    return setName;
  }
}

export interface ClusterTimes {
  /** Of the newest write. */
  readonly latest: Version;
  /** Of the newest write that a majority has; everything up to it can be read. */
  readonly majority: Version;
}

/** Needs no rights. */
export async function clusterTimes(db: Db): Promise<ClusterTimes> {
  const { lastWrite } = (await adminCommand(db, { hello: 1 }, "asking for the cluster's time")) as {
    lastWrite: { opTime: { ts: Timestamp }; majorityOpTime: { ts: Timestamp } };
  };
  const version = ({ ts }: { ts: Timestamp }): Version => versionOf(ts.t, ts.i);
  return { latest: version(lastWrite.opTime), majority: version(lastWrite.majorityOpTime) };
}

/** Whether two identities can be those of one cluster; an id that was not readable at one time is no difference. */
export function isSameCluster(a: string, b: string): boolean {
  const [nameOfA, idOfA] = a.split("/");
  const [nameOfB, idOfB] = b.split("/");
  return nameOfA === nameOfB && (idOfA === undefined || idOfB === undefined || idOfA === idOfB);
}

async function adminCommand(db: Db, command: Document, doing: string): Promise<Document> {
  try {
    return await db.admin().command(command);
  } catch (error) {
    throw mongoError(error, doing);
  }
}

function notReplicaSet(isSharded: boolean): HeadraceError {
  return new HeadraceError("MONGODB_NOT_REPLICA_SET", {
    message: isSharded
      ? "mongodb.uri leads to a sharded cluster, which Headrace does not support."
      : "mongodb.uri leads to a standalone MongoDB server, which has no change streams.",
    remedy: isSharded
      ? "Use a replica set."
      : "Run MongoDB as a replica set: one member is enough (`mongod --replSet rs0`, then `rs.initiate()`).",
  });
}

function tooOld(version: string): HeadraceError {
  return new HeadraceError("MONGODB_TOO_OLD", {
    message: `The MongoDB server is of version ${version}; Headrace reads at given cluster times, which came with 5.0.`,
  });
}

/** Without the driver's message, which may quote the address. */
function invalidUri(error: MongoParseError): HeadraceError {
  return new HeadraceError(
    "MONGODB_URI_INVALID",
    { message: "mongodb.uri is not an address that the driver understands." },
    error,
  );
}
