/** What a door has adopted on a lane lasts while the lane shows it. */
import { expect, test } from "vitest";
import { unknownLane } from "../../../../server/schedule/lane-belief.js";
import { review } from "../../../../server/schedule/attempt/adoptions.js";
import type { AdoptMessage, Adoption } from "../../../../server/schedule/attempt/adoptions.js";
import type { ReportedPhase } from "../../../../server/lane/lane-messages.js";
import { groupOfRaws } from "../../../helpers/scheduler.js";

const { work } = groupOfRaws("work", 1);
const message: AdoptMessage = { kind: "adopt", attempt: 7, work, digest: "d", fenceAtMs: 9000 };
const adopted: Adoption = { message, sends: 1, sentAtMs: 1000 };
const idle = { kind: "idle" } as const;
const listed = [{ digest: "d", fenceAtMs: 5000, isRunning: false }];
const at = (nowMs: number, phase: ReportedPhase, adoptable: typeof listed, from = adopted) =>
  review([from], { ...unknownLane.report, phase, adoptable }, nowMs);

test("it goes on while the attempt runs under its number", () => {
  const proving = { kind: "proving", attempt: 7, proof: null } as const;
  const goesOn = { adoptions: [adopted], resend: [], lost: [], ignored: [] };
  expect(at(9000, proving, listed)).toEqual(goesOn);
  expect(at(9000, proving, [])).toEqual(goesOn);
});

test("it is asked for again while it is listed, at intervals and not for ever", () => {
  expect(at(1100, idle, listed)).toEqual({
    adoptions: [adopted],
    resend: [],
    lost: [],
    ignored: [],
  });
  let adoptions: readonly Adoption[] = [adopted];
  let sends = 1;
  for (let nowMs = 1000; adoptions.length > 0; nowMs += 50) {
    const next = review(
      adoptions,
      { ...unknownLane.report, phase: idle, adoptable: listed },
      nowMs,
    );
    sends += next.resend.length;
    ({ adoptions } = next);
    if (adoptions.length === 0) expect([next.lost, next.ignored]).toEqual([[], [7]]);
  }
  expect(sends).toBe(10);
});

test("it is lost once it is no longer listed", () => {
  expect(at(1001, idle, [])).toEqual({ adoptions: [], resend: [], lost: [7], ignored: [] });
  const proving = { kind: "proving", attempt: null, proof: null } as const;
  expect(at(1001, proving, [])).toEqual({ adoptions: [], resend: [], lost: [7], ignored: [] });
});
