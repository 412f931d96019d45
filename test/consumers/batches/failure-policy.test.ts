import { describe, expect, test } from "vitest";
import { createFailurePolicy } from "../../../src/consumers/batches/failure-policy.ts";
import { errorKind, HeadraceError } from "../../../src/errors/error.ts";

const patience = { constraintPatienceMs: 5_000, schemaPatienceMs: 60_000, passingPatienceMs: 60_000 };

/** The kinds that an error is given when it comes at each of the times, ms. */
function kindsAt(error: unknown, ...times: number[]) {
  let now = 0;
  const policy = createFailurePolicy(patience, () => now);
  return times.map((time) => {
    now = time;
    return errorKind(thrownBy(policy, error));
  });
}

function thrownBy(policy: (error: unknown) => never, error: unknown): unknown {
  try {
    return policy(error);
  } catch (thrown) {
    return thrown;
  }
}

function refused(sqlstate: string): HeadraceError {
  return new HeadraceError("CONSTRAINT_VIOLATED", { message: "refused", details: { sqlstate } });
}

describe.each(["23503", "23505"])("SQLSTATE %s", (sqlstate) => {
  test("is retryable for some seconds after the first failure, then poison", () => {
    expect(kindsAt(refused(sqlstate), 1_000, 5_999, 6_000)).toEqual(["retryable", "retryable", "poison"]);
  });
});

test("other constraints are poison at once", () => {
  expect(kindsAt(refused("23502"), 0)).toEqual(["poison"]);
});

test("an unknown schema id is retryable for a while, then fatal", () => {
  const unknown = new HeadraceError("SCHEMA_UNKNOWN", { message: "no schema 7" });
  expect(kindsAt(unknown, 0, 59_999, 60_000)).toEqual(["retryable", "retryable", "fatal"]);
  const policy = createFailurePolicy({ ...patience, schemaPatienceMs: 0 });
  const thrown = thrownBy(policy, unknown);
  expect(thrown).toMatchObject({ code: "SCHEMA_UNKNOWN", message: "no schema 7" });
  expect((thrown as Error).cause).toBe(unknown);
});

test("a change of the table by another session is retryable for a while, then the table does not fit", () => {
  const changed = new HeadraceError("TABLE_CHANGED", { message: "again", details: { sqlstate: "42710" } });
  expect(kindsAt(changed, 0, 59_999, 60_000)).toEqual(["retryable", "retryable", "fatal"]);
  expect(kindsAt(new HeadraceError("TABLE_CHANGED", { message: "new columns" }), 0, 60_000)).toEqual([
    "retryable",
    "retryable",
  ]);
});

test("a passing SQLSTATE that a function raises is retryable for a while, then poison; that of the server stays retryable", () => {
  const of = (details: Record<string, string>) => new HeadraceError("POSTGRES_CONFLICT", { message: "again", details });
  expect(kindsAt(of({ sqlstate: "40001", raised: "true" }), 0, 59_999, 60_000)).toEqual([
    "retryable",
    "retryable",
    "poison",
  ]);
  expect(kindsAt(of({ sqlstate: "40001" }), 0, 60_000)).toEqual(["retryable", "retryable"]);
});

test("every other error is thrown unchanged", () => {
  const errors = [new TypeError("bug"), refused("22003"), undefined];
  const policy = createFailurePolicy(patience);
  expect(errors.map((error) => thrownBy(policy, error))).toEqual(errors);
});
