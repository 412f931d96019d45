import { MongoAPIError, MongoClient, MongoParseError } from "mongodb";
import type { Db, Document, Timestamp } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import { unreadableFile } from "../../runtime/tls-codes.ts";
import type { Version } from "../../schemas/change-event.ts";
import { timestampVersion } from "./cluster-time.ts";
import { mongoError } from "./errors.ts";

export interface MongoOptions {
  /** May hold credentials: never logged. */
  readonly uri: string;
  readonly database: string;
}

/** Longer than an election takes. */
const SELECTION_TIMEOUT_MS = 15_000;
const OLDEST_VERSION = 5;

/**
 * Connects, and checks that the server is a replica set of a supported version.
 * @throws HeadraceError MONGODB_NOT_REPLICA_SET, MONGODB_TOO_OLD, MONGODB_URI_INVALID, or an error of the connection
 */
export async function connectMongo({ uri, database }: MongoOptions): Promise<MongoClient> {
  const client = newClient(uri);
  try {
    await client.connect();
  } catch (error) {
    await client.close();
    if (error instanceof MongoParseError || error instanceof MongoAPIError) throw invalidUri(uri, error);
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

function newClient(uri: string): MongoClient {
  try {
    return new MongoClient(uri, { appName: "headrace", serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS });
  } catch (error) {
    throw unreadableFile(error) === null ? invalidUri(uri, error) : mongoError(error, "connecting");
  }
}

async function checkServer(db: Db): Promise<void> {
  const hello = await adminCommand(db, { hello: 1 }, "reading the server's role");
  if (typeof hello["setName"] !== "string") throw notReplicaSet(hello["msg"] === "isdbgrid");
  const { version } = (await adminCommand(db, { buildInfo: 1 }, "reading the server's version")) as {
    version: string;
  };
  if (Number.parseInt(version, 10) < OLDEST_VERSION) throw tooOld(version);
}

/**
 * The identity of the replica set: its name and, if the user may read it, its id. Two replica sets may have the same
 * name, but never the same id.
 */
export async function clusterIdentity(db: Db): Promise<string> {
  const { setName } = (await adminCommand(db, { hello: 1 }, "reading the server's role")) as { setName: string };
  try {
    const { config } = (await db.admin().command({ replSetGetConfig: 1 })) as {
      config: { settings?: { replicaSetId?: { toHexString(): string } } };
    };
    const id = config.settings?.replicaSetId?.toHexString();
    return id === undefined ? setName : `${setName}/${id}`;
  } catch (error) {
    const classified = mongoError(error, "reading the replica set's id");
    if (classified.code !== "MONGODB_FORBIDDEN") throw classified;
    return setName;
  }
}

export interface ClusterTimes {
  /** The time of the newest write. */
  readonly latest: Version;
  /** The time of the newest write that a majority has. Every time up to it can be read. */
  readonly majority: Version;
}

/** The times of the newest writes. The user needs no rights for this. */
export async function clusterTimes(db: Db): Promise<ClusterTimes> {
  const { lastWrite } = (await adminCommand(db, { hello: 1 }, "reading the cluster's time")) as {
    lastWrite: { opTime: { ts: Timestamp }; majorityOpTime: { ts: Timestamp } };
  };
  const { opTime, majorityOpTime } = lastWrite;
  return { latest: timestampVersion(opTime.ts), majority: timestampVersion(majorityOpTime.ts) };
}

/** Whether two identities can belong to one cluster. An id that is missing in one of them makes no difference. */
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
      ? "mongodb.uri points to a sharded cluster, which Headrace does not support."
      : "mongodb.uri points to a standalone MongoDB server, which has no change streams.",
    remedy: isSharded
      ? "Use a replica set."
      : "Run MongoDB as a replica set. One member is enough: start `mongod --replSet rs0`, then run `rs.initiate()`.",
  });
}

function tooOld(version: string): HeadraceError {
  return new HeadraceError("MONGODB_TOO_OLD", {
    message: `The MongoDB server has version ${version}. Headrace needs 5.0 or later, because it reads at given cluster times.`,
  });
}

/** An option whose value is or holds a secret, with all that stands behind it. */
const SECRET_OPTION = /[?&][^=&]*(?:password|token|properties)[^=&]*=(.*)$/is;

/** Has no cause: the driver's errors may quote the address. Its message is shown if it has nothing of a secret. */
function invalidUri(uri: string, error: unknown): HeadraceError {
  const [, userinfo = ""] = /\/\/([^/?]*)@/.exec(uri) ?? [];
  // A password may have an `&` that should have been percent-encoded. So everything behind it may be a part of it.
  const [, behindSecret = ""] = SECRET_OPTION.exec(uri) ?? [];
  const parts = [userinfo, behindSecret].flatMap((secret) => secret.split(/[:,&=]/)).filter((part) => part !== "");
  const reason = error instanceof Error ? error.message : "";
  // The driver decodes what is percent-encoded.
  const isShown = reason !== "" && !parts.some((part) => part.includes("%") || reason.includes(part));
  return new HeadraceError("MONGODB_URI_INVALID", {
    message: `mongodb.uri is not a valid MongoDB connection string${isShown ? `: ${reason}` : ""}.`,
  });
}
