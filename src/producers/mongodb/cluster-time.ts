import { Timestamp } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
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

/**
 * The time of a resume token's `_data`. It is hex: the byte 82, then the seconds and the increment of the time with four
 * bytes each.
 * @throws HeadraceError RESUME_TOKEN_UNREADABLE
 */
export function tokenTime(resumeToken: string): Version {
  const time = /^82([0-9A-F]{16})/i.exec(resumeToken)?.[1];
  if (time !== undefined) return BigInt(`0x${time}`);
  throw new HeadraceError("RESUME_TOKEN_UNREADABLE", {
    message: "MongoDB's change stream gave no resume token that begins with a cluster time.",
  });
}
