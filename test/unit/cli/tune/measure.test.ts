/** What `tune` keeps of a layout's memory: its provers after their set-up, and at most. */
import { expect, test } from "vitest";
import { calibrationInputs } from "../../../../cli/tune/inputs.js";
import { layoutOf } from "../../../../cli/tune/layouts.js";
import { measureLayout } from "../../../../cli/tune/measure.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";

const message = { root: new Uint8Array(32).fill(8), slot: 3 };
const publicKey = new Uint8Array(32).fill(7);
const votes = [{ publicKey, signature: fakeSignature(publicKey, message.root, message.slot) }];
/** Bytes of each lane's prover before its first proof, and after it. */
const BYTES = [
  [1e8, 7e8],
  [2e8, 5e8],
] as const;

test("the largest prover counts, once after its set-up and once at most", async () => {
  const shape = { raws: 1, children: 0 };
  const figures = await measureLayout(
    layoutOf([0, 1], 2, 1, 0),
    { shapes: [shape], spanMs: 0, leastProofs: 1 },
    {
      startProver: (_layout, lane) => {
        const [before, after] = BYTES[lane] ?? [0, 0];
        let bytes: number = before;
        const proveMs = () => ((bytes = after), 0);
        const prover = startFakeProver({ proveMs, sleep: () => Promise.resolve() });
        return Object.assign(prover, { residentBytes: () => bytes });
      },
      inputs: calibrationInputs({ message, votes }),
      nowMs: () => 0,
      peakBytes: () => 0,
      isOver: () => false,
      stepDone: () => undefined,
      proved: () => undefined,
    },
  );
  expect(figures).toMatchObject({ setupBytes: 2e8, proverBytes: 7e8, problem: undefined });
});
