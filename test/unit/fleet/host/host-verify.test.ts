/** What doors have a lane host verify: one at a time beside its own work, in turns of the doors. */
import { expect, test } from "vitest";
import { createHostMetrics } from "../../../../server/fleet/host/host-metrics.js";
import { HostVerify } from "../../../../server/fleet/host/host-verify.js";
import { blobOf } from "../../../../server/fleet/wire/blobs.js";
import { createMetrics } from "../../../../server/metrics/metrics.js";
import { startFakeProver } from "../../../../server/prover/fake/fake.js";
import { VirtualClock } from "../../../../tools/sim/virtual-clock.js";
import { workOf } from "../scripted-door.js";

test("one proof of doors is verified at a time, and each door has its turn", async () => {
  const prover = startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });
  const asked: { id: number | undefined; answer: (isValid: boolean) => void }[] = [];
  const verifier = {
    verify: ({ bytes: [id] }: { bytes: Uint8Array }) =>
      new Promise<boolean>((answer) => asked.push({ id, answer })),
  };
  const verifying = new HostVerify({
    clock: new VirtualClock(),
    metrics: createHostMetrics(createMetrics(["cpu"]).registry),
    audit: undefined,
    spareVerifier: () => ({ description: prover.description, verifier }),
  });
  const { message, raws } = workOf(1);
  const of = { kind: "fold", message } as const;
  const ask = (door: string, id: number) => {
    const named = { of, keys: blobOf(raws.keys), proof: blobOf(Uint8Array.of(id)) };
    const question = { kind: "verify", system: "", run: "", hostRun: "", ...named } as const;
    return verifying.verify(door, question, () => Promise.reject(new Error("all came along")));
  };
  const verdicts = [ask("a", 1), ask("a", 2), ask("a", 3), ask("b", 4)];
  const order = [];
  while (order.length < verdicts.length) {
    await expect.poll(() => asked.length, { interval: 1 }).toBe(1);
    const [first] = asked.splice(0);
    order.push(first?.id);
    first?.answer(true);
  }
  expect(order).toEqual([1, 2, 4, 3]);
  const valid = { kind: "verdict", isValid: true };
  expect(await Promise.all(verdicts)).toEqual([valid, valid, valid, valid]);
});
