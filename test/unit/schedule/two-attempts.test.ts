/** Two attempts may run at the same work, for groups that differ in whether inputs may be shed. */
import { expect, test } from "vitest";
import { Admission } from "../../../server/admission/admission.js";
import type { ToLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics.js";
import { Dispatcher } from "../../../server/schedule/dispatcher.js";
import { unknownLane } from "../../../server/schedule/lane-belief.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import { decodedGroup } from "../../../tools/harness/decoded-group.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const description = {
  backend: "test",
  scheme: "test",
  revision: "test",
  publicKeyBytes: 1,
  signatureBytes: 1,
  proofBytesMax: 1000,
  childrenMax: 0,
  rates: 0,
  fake: true,
};

/** A group of so many raw signatures; `digest` says which groups are the same work. */
function group(digest: string, raws: number): DecodedGroup {
  const work = {
    message: { root: new Uint8Array(32), slot: 1 },
    raws: {
      validators: Array.from({ length: raws }, (_, at) => at),
      keys: new Uint8Array(raws),
      signatures: new Uint8Array(raws),
    },
    children: [],
    leftOut: [],
    logInvRate: 0,
  };
  return { ...decodedGroup(work), digest };
}

const LANES = ["a", "b"];

function scheduler() {
  const clock = new VirtualClock();
  const metrics = createMetrics();
  const sent: { lane: string; message: ToLane }[] = [];
  const links = LANES.map((deviceId) => ({
    deviceId,
    send: (message: ToLane) => void sent.push({ lane: deviceId, message }),
  }));
  const dispatcher = new Dispatcher(links, { clock, metrics });
  const memory = new MemoryBudget(1e9);
  const modules = { clock, log: createLog("silent"), metrics, dispatcher, memory };
  const admission = new Admission({ instance: "00000000000000aa" }, modules);
  dispatcher.start(admission.queue);
  const submit = (nodeId: string, mayShed: boolean, work: DecodedGroup, minInputs = 1) =>
    admission.submit(
      {
        nodeId,
        requestId: "1",
        contentDigest: work.digest,
        principal: { name: nodeId, quota: {} },
        nodeEpoch: 1n,
        slot: 1n,
        priority: 2,
        shouldReplace: false,
        mayShed,
        receivedAtMs: 0,
        deadlineAtMs: 4000,
        fenceAtMs: 6400,
        minInputs,
        steps: [],
        bytes: 1000,
        accepted: { deadlineMs: 4000, fenceMs: 6400, deadlineSource: 1 },
      },
      () => [work],
    );
  const announceIdle = (lane: string, lease: number) =>
    dispatcher.hear(lane, {
      ...unknownLane.report,
      kind: "announce",
      sequence: lease,
      lease,
      phase: { kind: "idle" },
      description,
    });
  const assignments = () =>
    sent.flatMap(({ lane, message }) => (message.kind === "assign" ? [{ lane, ...message }] : []));
  return { dispatcher, submit, announceIdle, assignments };
}

test("a group that comes later joins one of them, the one that agrees with it", () => {
  const { dispatcher, submit, announceIdle, assignments } = scheduler();
  for (const lane of LANES) announceIdle(lane, 1);
  submit("first", true, group("one", 1));
  submit("second", true, group("two", 1));
  // Too large to be proved whole before the fence, so those that may be cut do not share with others.
  submit("may", true, group("same", 80));
  submit("may-not", false, group("same", 80));
  for (const { lane, attempt } of assignments().slice(0, LANES.length)) {
    const result = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
    dispatcher.hear(lane, { kind: "ended", attempt, result });
    announceIdle(lane, 2);
  }
  const large = assignments().slice(LANES.length);
  expect(large.map(({ assignment }) => assignment.mayShed).sort()).toEqual([false, true]);

  expect(submit("late", false, group("same", 80))).toMatchObject({ kind: "accepted" });
  expect(assignments()).toHaveLength(2 * LANES.length);
});

test("a group is proved though the attempt that it joined had too few inputs for the others", () => {
  const { dispatcher, submit, announceIdle, assignments } = scheduler();
  announceIdle("a", 1);
  submit("wants-three", true, group("same", 2), 3);
  submit("wants-one", true, group("same", 2), 1);
  const [first] = assignments();
  expect(first?.assignment.minInputs).toBe(3);
  const result = { kind: "too_few_inputs", inputs: 2, leftOut: [] } as const;
  dispatcher.hear("a", { kind: "ended", attempt: first?.attempt ?? 0, result });
  announceIdle("a", 2);
  expect(assignments().map(({ assignment }) => assignment.minInputs)).toEqual([3, 1]);
});
