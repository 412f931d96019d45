import { Timestamp } from "mongodb";
import { versionOf } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";

/** The BSON timestamp of a version, as MongoDB's commands take it. */
export function versionTimestamp(version: Version): Timestamp {
  return new Timestamp({ t: Number(version >> 32n), i: Number(version & 0xffff_ffffn) });
}

/** The version of a BSON timestamp. */
export function timestampVersion(timestamp: Timestamp): Version {
  return versionOf(timestamp.t, timestamp.i);
}
