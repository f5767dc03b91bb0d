/** Signatures are verified in pieces that a prover takes, and for which it is not silent too long. */
import { beforeEach, expect, test } from "vitest";
import { concat } from "../../../../server/bytes.js";
import { FailoverVerifier } from "../../../../server/lane/prove/verifier.js";
import { limits } from "../../../../server/limits.js";
import { createMetrics } from "../../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import type { Prover } from "../../../../server/prover/prover.js";
import { VirtualClock } from "../../../../tools/sim/virtual-clock.js";

const message = { root: new Uint8Array(32).fill(8), slot: 3 };
const KEYS = 2500;
/** One of a later piece. */
const BAD = 2100;

let clock: VirtualClock;
beforeEach(() => {
  clock = new VirtualClock();
});

const keyOf = (validator: number) => {
  const key = Buffer.alloc(32);
  key.writeUInt32LE(validator);
  return key;
};
const all = Array.from({ length: KEYS }, (_, validator) => keyOf(validator));
const signed = all.map((key, at) =>
  fakeSignature(at === BAD ? keyOf(0) : key, message.root, message.slot),
);
const raws = { ...message, keys: concat(all), signatures: concat(signed) };
const verdicts = all.map((_, at) => (at === BAD ? "bad_signature" : "ok"));

/** A prover that takes 2 ms for each signature; `asked` has how many it was asked to verify at once. */
function slowProver(rawsMax: number) {
  const foldLimits = { rawsMax };
  const fake = startFakeProver({ foldLimits, proveMs: () => 1, sleep: () => Promise.resolve() });
  const asked: number[] = [];
  const verifySignatures: Prover["verifySignatures"] = async (piece) => {
    const count = piece.keys.length / 32;
    asked.push(count);
    await clock.sleep(limits.verifyMsPerSignature * count);
    return verifyAtOnce(piece);
  };
  const verifyAtOnce = fake.verifySignatures.bind(fake);
  return { prover: Object.assign(fake, { verifySignatures }), asked };
}

async function verify(...provers: Prover[]) {
  const modules = { clock, metrics: createMetrics(["cpu"]), provers: () => provers };
  const verifier = new FailoverVerifier(modules);
  const verified = verifier.verifySignatures(raws);
  await clock.runUntil(1e5, () => undefined);
  return { verdicts: await verified, deaths: verifier.deaths };
}

test.each([
  ["of no limit", 0, [1024, 1024, 452]],
  ["that takes 1000", 1000, [1000, 1000, 500]],
  ["that takes all", KEYS, [1024, 1024, 452]],
])("by a prover %s", async (_what, rawsMax, pieces) => {
  const { prover, asked } = slowProver(rawsMax);
  expect(await verify(prover)).toEqual({ verdicts, deaths: 0 });
  expect(asked).toEqual(pieces);
});

test("by the next prover from the first piece on, where one hangs, which counts once", async () => {
  const hung = slowProver(0);
  hung.prover.verifySignatures = () => new Promise<never>(() => undefined);
  const { prover, asked } = slowProver(0);
  expect(await verify(hung.prover, prover)).toEqual({ verdicts, deaths: 1 });
  expect(asked).toEqual([1024, 1024, 452]);
});

test("each in less time than that after which its prover counts as silent", () => {
  const longestMs = limits.verifyMsMax + limits.verifySignaturesMax * limits.verifyMsPerSignature;
  expect(longestMs).toBeLessThan(limits.proverSilenceMsMax);
});
