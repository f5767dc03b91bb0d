/** The body of a block that is built ahead, in front of a scripted service. */
import { status } from "@grpc/grpc-js";
import { afterEach, expect, it, vi } from "vitest";
import type { BodyOffer, TickAggregatorOptions } from "../../../client/index.js";
import {
  BusyPolicy,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
  VerifiedBy,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  cleanUp,
  eventually,
  GATES,
  skippedAs,
  snapshot,
  start,
  takeOne,
} from "./adapter-setup.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

const PARENT = new Uint8Array(32).fill(1);
const PROOF = new Uint8Array([9]);

const component = (key: string, participants = 3) => ({
  key,
  data: { slot: 5n },
  proof: new Uint8Array([1]),
  participants: new Uint8Array([participants]),
});

const offerOf = (keys: string): BodyOffer => ({
  blockSlot: 6,
  parent: PARENT,
  components: [...keys].map((key) => component(key)),
});

/** Slot 6 starts in 4 s: the function of the adapter counts to the start of slot N + 2. */
async function startBody(options: Partial<TickAggregatorOptions> = {}) {
  const timeToFence = (slot: number) => (slot - 3) * 4000;
  const service = await start({ timeToFence, ...options });
  const { aggregator, script } = service;
  const gates = vi.fn(() => ({ hasState: true }));
  const body = aggregator.growBody({ gates, componentsMax: 3 });
  const askedFor = async (times: number) => {
    await eventually(() => {
      aggregator.takeResults(5);
      expect(script.submits).toHaveLength(times);
    });
    const group = script.submits.at(-1)?.snapshot?.groups[0];
    return group?.components.length;
  };
  const end = (fields: object) => {
    const requestId = script.submits.at(-1)?.requestId ?? "";
    script.send({ case: "outcome", value: { requestId, slot: 5n, ...fields } });
    script.summary(requestId);
  };
  const prove = (verifiedBy = VerifiedBy.STANDBY) => {
    const size = script.submits.at(-1)?.snapshot?.groups[0]?.components.length ?? 0;
    const claims = Array.from({ length: size }, () => ({ participants: new Uint8Array([3]) }));
    end({ status: OutcomeStatus.PROVED, proof: PROOF, claims, verifiedBy });
  };
  return { ...service, gates, body, askedFor, end, prove };
}

it("grows while votes are aggregated, and is taken with its claims at once", async () => {
  const { aggregator, script, body, askedFor, prove } = await startBody();
  body.offer(5, offerOf("a"));
  expect(await askedFor(1)).toBe(1);
  expect(script.submits[0]).toMatchObject({ deadlineMs: 4000, fenceMs: 4500 });
  expect(script.submits[0]?.steps).toMatchObject([{ untilMs: 4000, weight: 1 }]);
  prove();
  body.offer(5, offerOf("ab"));
  expect(await askedFor(2)).toBe(2);
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
  const merge = script.submits[1]?.requestId;
  expect(body.take(6, PARENT)).toMatchObject({ components: [{ key: "a" }], proof: PROOF });
  await eventually(() => expect(script.cancels).toMatchObject([{ requestId: merge }]));
  expect(body.take(6, PARENT), "only once").toBeNull();
});

it("takes what has arrived since the last tick, and keeps the votes' results for it", async () => {
  const verify = vi.fn(() => Promise.resolve(true));
  const { aggregator, script, body, askedFor, prove } = await startBody({ verify });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  const votes = script.submits[0]?.requestId;
  body.offer(5, offerOf("a"));
  expect(await askedFor(2)).toBe(1);
  script.proved({}, votes);
  prove();
  await eventually(() => expect(verify).toHaveBeenCalledTimes(2));
  await new Promise((resolve) => setImmediate(resolve));
  expect(body.take(6, PARENT)).toMatchObject({ proof: PROOF, claims: [{}] });
  expect(aggregator.takeResults(5)).toMatchObject([{ kind: "outcome", requestId: votes }]);
});

it("leaves the votes' results where they are, which are dropped at their fence", async () => {
  const verify = vi.fn(() => Promise.resolve(true));
  const { aggregator, script, body, metric } = await startBody({ verify });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  await eventually(() => expect(verify).toHaveBeenCalled());
  await new Promise((resolve) => setImmediate(resolve));
  expect(body.take(6, PARENT)).toBeNull();
  expect(aggregator.takeResults(7)).toEqual([]);
  expect(await metric("lean_aggregator_fenced_results_total")).toBe(1);
});

it("forgets a stale parent, and cancels what is in flight for it", async () => {
  const { aggregator, script, body, askedFor } = await startBody();
  body.offer(5, offerOf("a"));
  await askedFor(1);
  body.forget();
  await eventually(() => expect(script.cancels).toHaveLength(1));
  expect(body.take(6, PARENT)).toBeNull();
  expect(aggregator.takeResults(5), "the node did not submit it").toEqual([]);
});

it("leaves out the component that the service names", async () => {
  const { aggregator, script, body, askedFor, prove, end } = await startBody();
  body.offer(5, offerOf("ab"));
  await askedFor(1);
  const input = { case: "componentIndex" as const, value: 1 };
  const leftOut = [{ reason: LeftOutReason.BAD_CHILD, input }];
  end({ status: OutcomeStatus.REJECTED, leftOut });
  await eventually(() => {
    aggregator.takeResults(5);
    body.offer(5, offerOf("ab"));
    expect(script.submits).toHaveLength(2);
  });
  expect(await askedFor(2)).toBe(1);
  body.offer(5, offerOf("abc"));
  expect(await askedFor(3)).toBe(2);
  prove();
  await eventually(() => {
    aggregator.takeResults(5);
    expect(body.best?.components.map(({ key }) => key)).toEqual(["a", "c"]);
  });
});

it("replaces a merge that waits by a fuller one, which counts as no try", async () => {
  const { aggregator, script, body, askedFor, prove } = await startBody();
  body.offer(5, offerOf("a"));
  expect(await askedFor(1)).toBe(1);
  const [first] = script.submits;
  body.offer(5, offerOf("ab"));
  expect(await askedFor(2)).toBe(2);
  expect(script.submits[1]?.busyPolicy).toBe(BusyPolicy.REPLACE);
  const requestId = first?.requestId ?? "";
  const ended = { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.SUPERSEDED };
  script.send({ case: "outcome", value: { requestId, slot: 5n, ...ended } });
  script.summary(requestId);
  prove();
  await eventually(() => {
    aggregator.takeResults(5);
    body.offer(5, offerOf("ab"));
    expect(body.best?.components.map(({ key }) => key)).toEqual(["a", "b"]);
  });
  expect(script.submits).toHaveLength(2);
});

it("asks for half of what the service does not start", async () => {
  const { aggregator, script, body, askedFor, prove, end } = await startBody();
  body.offer(5, offerOf("ab"));
  expect(await askedFor(1)).toBe(2);
  end({ status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS });
  expect(await askedFor(2)).toBe(1);
  prove();
  await eventually(() => {
    aggregator.takeResults(5);
    expect(body.best?.components.map(({ key }) => key)).toEqual(["a"]);
  });
  expect(script.submits, "until the next tick").toHaveLength(2);
  body.offer(5, offerOf("ab"));
  expect(await askedFor(3)).toBe(2);
});

it("counts no proof that only its maker has seen", async () => {
  const { aggregator, script, body, askedFor, prove } = await startBody();
  body.offer(5, offerOf("a"));
  await askedFor(1);
  prove(VerifiedBy.UNSPECIFIED);
  await eventually(() => {
    aggregator.takeResults(5);
    body.offer(5, offerOf("a"));
    expect(script.submits, "tried once more").toHaveLength(2);
  });
  expect(body.best).toBeNull();
});

it("counts a proof that the node has verified, whether or not the service has", async () => {
  const { aggregator, body, askedFor, prove } = await startBody({
    verify: () => Promise.resolve(true),
  });
  body.offer(5, offerOf("a"));
  await askedFor(1);
  prove(VerifiedBy.UNSPECIFIED);
  await eventually(() => {
    aggregator.takeResults(5);
    expect(body.best).not.toBeNull();
  });
});

/** Offers component a until it is asked for once more, and waits for the body that its proof makes. */
async function provedAtSecondTry({
  aggregator,
  script,
  body,
  prove,
}: Awaited<ReturnType<typeof startBody>>) {
  await eventually(() => {
    body.offer(5, offerOf("a"));
    expect(script.submits).toHaveLength(2);
  });
  prove();
  await eventually(() => {
    aggregator.takeResults(5);
    expect(body.best).not.toBeNull();
  });
}

it("tries later what the service skips, without the node's `onSkip`", async () => {
  const onSkip = vi.fn();
  const service = await startBody({ onSkip });
  const { script, body } = service;
  script.answerTo = () => skippedAs(SkipReason.OVERLOADED);
  body.offer(5, offerOf("a"));
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.answerTo = (request) => script.accepted(request);
  await provedAtSecondTry(service);
  expect(onSkip).not.toHaveBeenCalled();
});

it.each([
  ["the caller's token", status.UNAUTHENTICATED],
  ["what the service offers", status.UNIMPLEMENTED],
  ["the node's id", status.FAILED_PRECONDITION],
])("tries once more what is refused because of %s", async (_what, code) => {
  const onSkip = vi.fn();
  const service = await startBody({ onSkip, onError: () => undefined });
  const { script, body } = service;
  script.refuseWith = { code, details: "refused" };
  body.offer(5, offerOf("a"));
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.refuseWith = null;
  await provedAtSecondTry(service);
  expect(onSkip).not.toHaveBeenCalled();
});

it("gives up what the service refuses as invalid", async () => {
  const onError = vi.fn();
  const { script, gates, body } = await startBody({ onError });
  script.refuseWith = { code: status.INVALID_ARGUMENT, details: "refused" };
  body.offer(5, offerOf("a"));
  await eventually(() => expect(onError).toHaveBeenCalledOnce());
  body.offer(5, offerOf("a"));
  expect(gates).toHaveBeenCalledOnce();
});

it("asks for a block that is too far ahead once its fence is near enough for the service", async () => {
  let aheadMs = 119_501;
  const { script, gates, body, askedFor } = await startBody({ timeToFence: () => aheadMs });
  body.offer(5, offerOf("a"));
  expect(gates).not.toHaveBeenCalled();
  aheadMs = 119_500;
  body.offer(5, offerOf("a"));
  expect(await askedFor(1)).toBe(1);
  expect(script.submits[0]).toMatchObject({ deadlineMs: 119_500, fenceMs: 120_000 });
});

const thrown = () => {
  throw new Error("no answer");
};

it("loses no result, and asks again in the next tick, when the node's gates throw", async () => {
  const onError = vi.fn();
  const { aggregator, script, gates, body, askedFor, end } = await startBody({ onError });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  const votes = script.submits[0]?.requestId;
  body.offer(5, offerOf("ab"));
  expect(await askedFor(2)).toBe(2);
  gates.mockImplementation(thrown);
  end({ status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS });
  script.proved({}, votes);
  const results = await takeOne(aggregator);
  expect(results).toMatchObject([{ kind: "outcome", requestId: votes }]);
  expect(onError.mock.calls).toMatchObject([[{ message: "no answer" }]]);
  body.offer(5, offerOf("ab"));
  expect(script.submits, "its gates throw again").toHaveLength(2);
  gates.mockImplementation(() => ({ hasState: true }));
  body.offer(5, offerOf("ab"));
  expect(await askedFor(3)).toBe(2);
});

it("goes on growing after the node's clock has thrown in a `take`", async () => {
  const toFence = vi.fn((slot: number) => (slot - 3) * 4000);
  const onError = vi.fn();
  const { body, askedFor, end } = await startBody({ timeToFence: toFence, onError });
  body.offer(5, offerOf("ab"));
  expect(await askedFor(1)).toBe(2);
  end({ status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS });
  toFence.mockImplementation(thrown);
  await eventually(() => {
    expect(body.take(4, PARENT)).toBeNull();
    expect(onError.mock.calls).toMatchObject([[{ message: "no answer" }]]);
  });
  toFence.mockImplementation((slot) => (slot - 3) * 4000);
  body.offer(5, offerOf("ab"));
  expect(await askedFor(2)).toBe(2);
});

it("hands out no body from its fence on, nor where the node's clock throws", async () => {
  const toFence = vi.fn((slot: number) => (slot - 3) * 4000);
  const onError = vi.fn();
  const { aggregator, body, askedFor, prove } = await startBody({ timeToFence: toFence, onError });
  body.offer(5, offerOf("a"));
  await askedFor(1);
  prove();
  await eventually(() => {
    aggregator.takeResults(5);
    expect(body.best).not.toBeNull();
  });
  toFence.mockImplementation(() => -499);
  expect(body.best).not.toBeNull();
  toFence.mockImplementation(() => -500);
  expect(body.best).toBeNull();
  toFence.mockImplementation(thrown);
  expect(body.best).toBeNull();
  expect(onError.mock.calls).toMatchObject([[{ message: "no answer" }]]);
  toFence.mockImplementation(() => -8000);
  expect(body.take(6, PARENT)).toBeNull();
});

it("refuses to grow a body of 0 components", async () => {
  const { aggregator } = await start();
  const gates = () => ({ hasState: true });
  expect(() => aggregator.growBody({ gates, componentsMax: 0 })).toThrow(
    "componentsMax is 0: give a whole number from 1",
  );
});
