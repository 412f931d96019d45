import type { ChangeEvent, Position } from "../../schemas/change-event.ts";

/** The collections that cannot be replicated, as the stream knows them after a step. Pure, as `timeline.ts`. */
export interface LeftOut {
  /** All of them, with the reason. */
  readonly reasons: ReadonlyMap<string, string>;
  /** These, and those of before that are gone now. They are not replicated any more, if they ever were. */
  readonly ended: ReadonlySet<string>;
}

/** The events without truncates of collections that were never replicated: there is no table to empty. */
export function withoutUnknown(
  events: readonly ChangeEvent[],
  { snapshots }: Position,
  leftOut: LeftOut | undefined,
): readonly ChangeEvent[] {
  const isUnknown = ({ op, collection }: ChangeEvent): boolean =>
    op === "t" && leftOut?.ended.has(collection) === true && !snapshots.has(collection);
  return events.some(isUnknown) ? events.filter((event) => !isUnknown(event)) : events;
}

/** A collection that is not replicated any more loses its state: if it can be replicated again, it is copied again. */
export function forgetEnded(
  position: Position,
  truncated: ReadonlyMap<string, unknown>,
  leftOut: LeftOut | undefined,
): Position {
  if (leftOut === undefined) return position;
  const { reasons, ended } = leftOut;
  const snapshots = new Map([...position.snapshots].filter(([name]) => !(truncated.has(name) && ended.has(name))));
  return { ...position, leftOut: reasons, snapshots };
}
