/** What lanes do becomes an activity when it changes, not each time that a lane says it again. */
import { expect, test } from "vitest";
import { ActivityFeed } from "../../../server/activity.js";
import { LaneActivity } from "../../../server/lane/lane-activity.js";
import type { FromLink, ReportedPhase } from "../../../server/lane/lane-messages.js";
import type { Shape } from "../../../server/work/shape.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

function start() {
  const clock = new VirtualClock();
  const activity = new ActivityFeed(100);
  const heard: FromLink[] = [];
  const listener = {
    added: () => undefined,
    heard: (_deviceId: string, message: FromLink) => void heard.push(message),
    gone: () => undefined,
  };
  const lanes = new LaneActivity(listener, { clock, activity });
  const announce = (phase: ReportedPhase) =>
    lanes.heard("h1.cpu", {
      kind: "announce",
      sequence: heard.length + 1,
      ...{ lease: 1, phase, isDrained: false, isRestartDue: false, isStandbyReady: true },
      ...{ isRefreshing: false, standbyCause: "", provers: [], description: null, costs: [] },
      ...{ memory: [], commandsDone: 0, adoptable: [] },
    });
  /** The start of each proof that was noted; undefined without one. */
  const noted = () =>
    activity.take(0, 100).records.map(({ atMs, event }) => {
      return event?.case === "lane" && event.value.proof ? atMs : undefined;
    });
  return { heard, announce, noted };
}

const proving = (
  attempt: number | null,
  startedAtMs: number,
  shape: Shape = { raws: 2, children: 0 },
): ReportedPhase => ({ kind: "proving", attempt, proof: { startedAtMs, shape } });

test.each([7, null])(
  "a proof of attempt %s whose start differs by 0.3 ms is noted once",
  (attempt) => {
    const { heard, announce, noted } = start();
    announce({ kind: "proving", attempt, proof: null });
    for (const startedAtMs of [500, 500.3, 499.7]) announce(proving(attempt, startedAtMs));
    expect(noted()).toEqual([undefined, 500]);
    expect(heard).toHaveLength(4);
  },
);

test("a proof of the same attempt is the same one, however late an announcement comes", () => {
  const { announce, noted } = start();
  for (const startedAtMs of [500, 900]) announce(proving(7, startedAtMs));
  expect(noted()).toEqual([500]);
});

test("another service's next proof, another attempt and another shape are noted", () => {
  const { announce, noted } = start();
  announce(proving(null, 500));
  announce(proving(null, 700));
  announce(proving(null, 700, { raws: 3, children: 0 }));
  announce(proving(8, 700, { raws: 3, children: 0 }));
  announce(proving(8, 700, { raws: 0, children: 3, messages: 3 }));
  expect(noted()).toEqual([500, 700, 700, 700, 700]);
});
