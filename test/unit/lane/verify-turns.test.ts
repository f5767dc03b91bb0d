/** What others ask to have verified: one at a time, in turns, each with the whole time of one. */
import { beforeEach, expect, test } from "vitest";
import { FailoverVerifier } from "../../../server/lane/prove/verifier.js";
import { VerifyTurns } from "../../../server/lane/verify-turns.js";
import { limits } from "../../../server/limits.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { ClaimedProof, Prover } from "../../../server/prover/prover.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

/** As a prover process does, verifies one after the other, each in the time that `takesMs` says. */
class SerialProver {
  /** Verifications that were asked for and have not ended. */
  open = 0;
  readonly prover: Prover;
  private last: Promise<unknown> = Promise.resolve();

  constructor(clock: VirtualClock, takesMs: (proof: ClaimedProof) => number, revision = "r1") {
    const sleep = () => Promise.resolve();
    this.prover = startFakeProver({ proveMs: () => 0, sleep, system: { revision } });
    this.prover.verify = async (proof) => {
      this.open++;
      const before = this.last;
      const own = before.then(() => clock.sleep(takesMs(proof)));
      this.last = own;
      await own;
      this.open--;
      return true;
    };
  }
}

let clock: VirtualClock;
let turns: VerifyTurns;
beforeEach(() => {
  clock = new VirtualClock();
  turns = new VerifyTurns();
});

const proofOf = (id: number): ClaimedProof => ({
  kind: "fold",
  bytes: Uint8Array.of(id),
  claims: [],
});
/** What can begin by now has, before time passes. */
async function run(ms: number): Promise<void> {
  await new Promise(setImmediate);
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

/** A verifier of its own for each call, as `LocalLanes` makes them. */
function ready(...provers: SerialProver[]) {
  const all = provers.map(({ prover }) => prover);
  const modules = { clock, metrics: createMetrics(["cpu"]), provers: () => all };
  const [first] = all;
  if (first === undefined) throw new Error("name a prover");
  return { description: first.description, verifier: new FailoverVerifier(modules) };
}

test("those who wait begin in turns of who asks, and time out by their own time alone", async () => {
  const takesMs = limits.verifyMsMax - 1;
  const one = new SerialProver(clock, () => takesMs);
  const order: string[] = [];
  const all = ["a", "a", "a", "b", "c", "b"].map(async (asker) => {
    const began = () => void order.push(asker);
    return turns.verify(asker, ready(one), proofOf(0), { began });
  });
  for (let nth = 0; nth < all.length; nth++) {
    await run(takesMs);
    expect(one.open).toBeLessThanOrEqual(1);
  }
  expect(await Promise.all(all)).toEqual(all.map(() => true));
  expect(order).toEqual(["a", "a", "b", "c", "a", "b"]);
});

test("a prover that does not answer in time gets no other one until it has answered", async () => {
  const hangsMs = 2 * limits.verifyMsMax;
  const one = new SerialProver(clock, ({ bytes }) => (bytes[0] === 1 ? hangsMs : 10));
  const hung = turns.verify("a", ready(one), proofOf(1)).catch(String);
  const next = turns.verify("b", ready(one), proofOf(2));
  await run(limits.verifyMsMax + 1);
  expect(await hung).toContain(`no verdict from the prover within ${limits.verifyMsMax} ms`);
  expect(one.open).toBe(1);
  await run(hangsMs);
  expect(await next).toBe(true);
});

test("a proof system does not wait for another, and who has left is skipped", async () => {
  const one = new SerialProver(clock, () => 100);
  const other = new SerialProver(clock, () => 100, "r2");
  const left = new AbortController();
  const first = turns.verify("a", ready(one), proofOf(0));
  const gone = turns
    .verify("a", ready(one), proofOf(0), { signal: left.signal })
    .catch((error: unknown) => error);
  const elsewhere = turns.verify("a", ready(other), proofOf(0));
  left.abort(new Error("the caller has left"));
  await run(100);
  expect(await Promise.all([first, elsewhere, gone])).toEqual([
    true,
    true,
    new Error("the caller has left"),
  ]);
  expect(one.open + other.open).toBe(0);
});
