/** The field `fake` of a device: the proof system and the behaviour of its fake provers. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../../server/config/config.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import { fakeDeviceOptions, fakeDeviceSchema } from "../../../../server/prover/fake/fake-device.js";
import { fakePlan } from "../../../../server/prover/fake/fake-plan.js";
import { foldedProof, foldOfAll } from "../../../../server/prover/prover.js";
import type { Prover } from "../../../../server/prover/prover.js";

const message = { root: new Uint8Array(32).fill(9), slot: 100 };

function proverOf(fake: unknown): Prover {
  const { prover } = fakeDeviceOptions({}, fakeDeviceSchema.parse(fake));
  return startFakeProver({ ...prover, proveMs: () => 1, sleep: () => Promise.resolve() });
}

function signed(prover: Prover, by: Uint8Array) {
  const { scheme = "", signatureBytes = 0 } = prover.description ?? {};
  return fakeSignature(by, message.root, message.slot, { scheme, signatureBytes });
}

async function proofBy(prover: Prover, keys: Uint8Array): Promise<Uint8Array> {
  const description = await prover.ready;
  const signatures = signed(prover, keys);
  const inputs = { message, keys, signatures, children: [], logInvRate: 0 };
  return prover.prove(foldOfAll(description, inputs));
}

test("has the name and the sizes that are set, and the rest of the fake prover", () => {
  const sizes = { publicKeyBytes: 52, signatureBytes: 3112 };
  const { description } = proverOf({ scheme: "xmss", revision: "r2", ...sizes });
  expect(description).toMatchObject({ scheme: "xmss", revision: "r2", ...sizes, fake: true });
  const { description: other } = proverOf({ revision: "r2" });
  expect(other).toMatchObject({ scheme: "fake", publicKeyBytes: 32, signatureBytes: 64 });
});

describe.each([
  ["revision", { scheme: "xmss", revision: "r1" }, { scheme: "xmss", revision: "r2" }, "ok"],
  ["scheme", { scheme: "xmss" }, { scheme: "bls" }, "bad_signature"],
] as const)("beside a prover of another %s", (_, one, two, verdict) => {
  const keys = new Uint8Array(32).fill(1);

  test("does not verify its proofs", async () => {
    const proof = await proofBy(proverOf(one), keys);
    expect(await proverOf(one).verify(foldedProof(message, { proof, keys }))).toBe(true);
    expect(await proverOf(two).verify(foldedProof(message, { proof, keys }))).toBe(false);
  });

  test(`finds a signature of that one ${verdict}`, async () => {
    const signatures = signed(proverOf(one), keys);
    const verdicts = await proverOf(two).verifySignatures({ ...message, keys, signatures });
    expect(verdicts).toEqual([verdict]);
  });
});

test("has times, failures and limits of its own, or else those of the service", () => {
  const fake = { time: 50, failures: ["error:2"], limits: ["raws:7"] };
  const { devices, ...settings } = parseConfig({
    ...{ prover: "fake", fakeTime: "300", fakeFailures: "hang:1", fakeLimits: "raws:9" },
    devices: [
      { id: "own", fake },
      { id: "common", fake: {} },
    ],
  });
  const [own, common] = devices.map((device) => fakeDeviceOptions(settings, device.fake));
  const planned = ({ plan }: Exclude<typeof own, undefined>) => {
    const { proveMs, failure } = fakePlan(plan, 0);
    return [proveMs({ raws: 1, children: 0 }), failure(), failure()];
  };
  if (own === undefined || common === undefined) throw new Error("a device is missing");
  expect(planned(own)).toEqual([50, undefined, "error"]);
  expect(planned(common)).toEqual([300, "hang", "hang"]);
  expect(own.prover.foldLimits?.rawsMax).toBe(7);
  expect(common.prover.foldLimits?.rawsMax).toBe(9);
});

test("fails with proofs that do not verify", async () => {
  const prover = startFakeProver({
    ...{ failure: () => "invalid", proveMs: () => 1, sleep: () => Promise.resolve() },
  });
  const keys = new Uint8Array(32).fill(1);
  const proof = await proofBy(prover, keys);
  expect(await prover.verify(foldedProof(message, { proof, keys }))).toBe(false);
});

describe("settings", () => {
  const twoSystems = [
    { id: "a", fake: { revision: "r1" } },
    { id: "b", fake: { revision: "r2" } },
  ];

  test("let such devices be without cores, beside each other", () => {
    const { devices } = parseConfig({ prover: "fake", devices: twoSystems });
    expect(devices.map(({ fake }) => fake?.revision)).toEqual(["r1", "r2"]);
  });

  test.each([
    [{ devices: twoSystems }, /^devices .*device a has "fake", which only the fake prover takes/],
    [
      { prover: "fake", fakeAccepts: "any", devices: [{ id: "a", fake: { publicKeyBytes: 5 } }] },
      /^devices .*device a has sizes in "fake", but \{?fakeAccepts\}? is any: leave one of them out/,
    ],
    [
      { prover: "fake", devices: [{ id: "a", fake: { signatureBytes: 35 } }] },
      /^devices\[0\]\.fake\.signatureBytes is 35: expected a whole number of bytes from 36 to 65536$/,
    ],
    [
      { prover: "fake", devices: [{ id: "a", fake: { scheme: "a b" } }] },
      /^devices\[0\]\.fake\.scheme is "a b": expected a name of 1 to \d+ characters without spaces$/,
    ],
  ])("of %j are refused", (settings, message) => {
    expect(() => parseConfig(settings)).toThrow(message);
  });
});
