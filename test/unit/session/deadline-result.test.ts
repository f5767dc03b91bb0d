/** Which endings count as a deadline kept or missed. */
import { expect, test } from "vitest";
import { deadlineResult } from "../../../server/session/outcome.js";
import type { Ending } from "../../../server/session/session-state.js";

const proved = {
  kind: "proved",
  proof: new Uint8Array(1),
  validators: [1],
  childrenFolded: [],
  leftOut: [],
  proveMs: 1,
} as const;
const result = (of: Extract<Ending, { kind: "result" }>["result"], isLate = false): Ending => {
  return { kind: "result", result: of, isLate, attempt: 1 };
};

test.each<[string, Ending, "hit" | "miss" | undefined]>([
  ["proved in time", result(proved), "hit"],
  ["proved late", result(proved, true), "miss"],
  ["never started in time", { kind: "not_started", reason: "deadline" }, "miss"],
  ["predicted to miss", { kind: "not_started", reason: "predicted_miss" }, "miss"],
  [
    "predicted to miss, once its inputs were verified",
    result({ kind: "not_started", reason: "predicted_miss", leftOut: [] }),
    "miss",
  ],
  ["killed at its fence", { kind: "stopped", reason: "fence", attempt: 1 }, "miss"],
  ["cancelled while it ran", { kind: "stopped", reason: "cancelled", attempt: 1 }, undefined],
  ["superseded", { kind: "not_started", reason: "superseded" }, undefined],
  ["rejected", result({ kind: "rejected", leftOut: [] }), undefined],
  ["failed", result({ kind: "failed", reason: "prover_died", detail: "", deaths: 1 }), undefined],
])("a group that was %s", (_how, ending, expected) => {
  expect(deadlineResult(ending)).toBe(expected);
});
