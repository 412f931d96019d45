/*
 * A snapshot that sweeps ends with a truncate, which deletes the rows that are older than `sweepBelow`. Pure, as
 * `timeline.ts`.
 */
import { latest } from "../../schemas/change-event.ts";
import type { Position, SnapshotState, Version } from "../../schemas/change-event.ts";
import type { ChunkRequest } from "./chunk-reader.ts";

/** The version below which a running snapshot sweeps; null if it does not. */
export function sweepOf(state: SnapshotState | undefined): Version | null {
  return state?.state === "running" ? state.sweepBelow : null;
}

/**
 * The version below which the snapshot sweeps, after a chunk of version `version`. Every document that exists gets the
 * version of the first chunk or a later one. The stream may have been far behind that: in snapshot mode `only` it stands.
 */
export function sweepAfter(state: SnapshotState | undefined, version: Version): Version | null {
  if (state?.state !== "running" || state.sweepBelow === null) return null;
  return state.after === null ? latest(state.sweepBelow, version) : state.sweepBelow;
}

/**
 * The earliest time of the next chunk on the snapshot's own account: a snapshot begins at the time below which it sweeps, or
 * later, because what is as new as its documents is not swept.
 */
export function beginOf(
  { collection, selection, after }: Pick<ChunkRequest, "collection" | "selection" | "after">,
  { snapshots }: Position,
): Version {
  return selection === null && after === null ? (sweepOf(snapshots.get(collection)) ?? 0n) : 0n;
}

/** A sweep below a time that is still to come: a snapshot that begins anew before then still has to do it. */
export function owedSweep(state: SnapshotState | undefined, now: Version): Version | null {
  const sweep = sweepOf(state);
  return sweep !== null && sweep > now ? sweep : null;
}
