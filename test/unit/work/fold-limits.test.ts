/** What one job may have, by a prover's limits and the operator's. */
import { describe, expect, it } from "vitest";
import { fakeLimitsSchema } from "../../../server/prover/fake/fake-limits.js";
import { startFakeProver, fakeSignature } from "../../../server/prover/fake/fake.js";
import { foldOfAll } from "../../../server/prover/prover.js";
import {
  fitsOneJob,
  foldedAtOnce,
  foldLimitsOf,
  lowerLimits,
  noFoldLimits,
  withLeafRawsMax,
} from "../../../server/work/fold-limits.js";
import type { ProverDescription } from "../../../server/work/prover-description.js";

const prover = (limits: Partial<ProverDescription>): ProverDescription => ({
  ...{ backend: "b", scheme: "s", revision: "r", publicKeyBytes: 32, signatureBytes: 64 },
  ...{ proofBytesMax: 0, childrenMax: 0, messagesMax: 0, rates: 0, fake: false },
  ...limits,
});
const limitsOf = (text: string) => foldLimitsOf(prover(fakeLimitsSchema.parse(text)));

describe("a fold", () => {
  it("of a prover without limits has any number of raw signatures, and 64 children", () => {
    const none = foldLimitsOf(prover({}));
    expect(none).toEqual(noFoldLimits);
    expect(fitsOneJob(none, { raws: 4096, children: 64 })).toBe(true);
    expect(fitsOneJob(none, { raws: 0, children: 65 })).toBe(false);
  });

  it.each([
    ["raws:400", { raws: 401, children: 0 }],
    ["raws:400,beside:8", { raws: 9, children: 1 }],
    ["beside:0", { raws: 1, children: 2 }],
    ["children:4", { raws: 0, children: 5 }],
    ["arities:2+4", { raws: 0, children: 3 }],
    ["arities:2+4", { raws: 1, children: 1 }],
  ])("of %s is over the limits with %j, and a fake prover refuses it", async (text, shape) => {
    const limits = fakeLimitsSchema.parse(text);
    expect(fitsOneJob(limitsOf(text), shape)).toBe(false);
    const fake = startFakeProver({ foldLimits: limits, proveMs: () => 0, sleep: async () => {} });
    const message = { root: new Uint8Array(32).fill(7), slot: 1 };
    const keys = Array.from({ length: shape.raws + shape.children }, (_, at) => {
      const key = new Uint8Array(32);
      new DataView(key.buffer).setUint32(0, at);
      return key;
    });
    const job = (of: readonly Uint8Array[], children: { keys: Uint8Array; proof: Uint8Array }[]) =>
      foldOfAll(fake.description, {
        ...{ message, logInvRate: 0, children },
        keys: Buffer.concat(of),
        signatures: Buffer.concat(of.map((key) => fakeSignature(key, message.root, 1))),
      });
    const children = await Promise.all(
      keys.slice(shape.raws).map(async (key) => ({
        keys: key,
        proof: await startFakeProver({ proveMs: () => 0, sleep: async () => {} }).prove(
          job([key], []),
        ),
      })),
    );
    await expect(fake.prove(job(keys.slice(0, shape.raws), children))).rejects.toMatchObject({
      kind: "refused",
    });
  });

  it("of one child alone, and a merge, fit always", () => {
    expect(fitsOneJob(limitsOf("arities:2+4"), { raws: 0, children: 1 })).toBe(true);
    expect(fitsOneJob(limitsOf("raws:1"), { raws: 9, children: 3, messages: 3 })).toBe(true);
  });

  it("takes all proofs at once where the prover has that arity, else the most that it has", () => {
    const two4 = limitsOf("arities:2+4");
    expect([1, 2, 3, 4, 7].map((count) => foldedAtOnce(two4, count))).toEqual([0, 2, 2, 4, 4]);
    expect(foldedAtOnce(limitsOf("children:4"), 9)).toBe(4);
    expect(foldedAtOnce(noFoldLimits, 3)).toBe(3);
  });
});

describe("of two limits", () => {
  it("the lower counts, and the arities that both have", () => {
    const both = lowerLimits(limitsOf("raws:400,arities:2+4"), limitsOf("beside:3,arities:2+8"));
    expect(both).toEqual({ rawsMax: 400, rawsBesideMax: 3, childrenMax: 64, arities: 0b100 });
  });

  it("the operator's counts where it is lower", () => {
    const own = prover({ rawsMax: 400, rawsBesideMax: 0 });
    expect(withLeafRawsMax(own, 32)).toMatchObject({ rawsMax: 32, rawsBesideMax: 32 });
    expect(withLeafRawsMax(own, 1000)).toMatchObject({ rawsMax: 400, rawsBesideMax: 1000 });
    expect(withLeafRawsMax(own, 0)).toBe(own);
  });
});

describe("the setting of a fake prover's limits", () => {
  it.each(["raws", "raws:x", "raws:1,raws:2", "children:1", "arities:4", "arities:2+32", "keys:1"])(
    "is not %s",
    (text) => {
      expect(fakeLimitsSchema.safeParse(text).success).toBe(false);
    },
  );
});
