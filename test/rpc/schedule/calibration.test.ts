/** A device that has learned nothing is timed by one proof before it takes work, and says so. */
import { afterEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/index.js";
import { DeviceState } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { FoldInputs } from "../../../server/prover/prover.js";
import { fakeSignature } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { GatedProver } from "./gated-prover.js";
import { listenTestService } from "../../helpers/start-service.js";
import { publicKey, rootOf } from "../../../tools/harness/vectors.js";

const calibration: FoldInputs = {
  message: { root: rootOf(0), slot: 100 },
  keys: publicKey(0),
  signatures: fakeSignature(publicKey(0), rootOf(0), 100),
  children: [],
  logInvRate: 0,
};

let prover: GatedProver;
let service: Service;
let client: AggregatorClient;

afterEach(async () => {
  client.close();
  prover.endProofs();
  await service.close();
});

async function listen(calibrated?: FoldInputs): Promise<void> {
  prover = new GatedProver();
  service = await listenTestService(
    prover.start,
    {},
    { devices: [{ id: "cpu", startProver: prover.start, calibration: calibrated }] },
  );
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
}

async function device() {
  const [only] = (await client.getServerInfo()).devices;
  if (only === undefined) throw new Error("the service has no device");
  return only;
}

test("it starts until its calibration is done, and knows its costs better then", async () => {
  await listen(calibration);
  await prover.untilProofs(1);
  const before = await device();
  expect(before).toMatchObject({ state: DeviceState.STARTING, detail: "calibrating" });
  prover.endProofs();
  await service.ready();
  const after = await device();
  expect(after).toMatchObject({ state: DeviceState.IDLE, detail: "" });
  expect(prover.proofs).toBe(1);
  for (const [i, cost] of after.learnedCosts.entries()) {
    const was = before.learnedCosts[i];
    expect(cost.proveMs).toBeLessThan(was?.proveMs ?? 0);
    expect(cost.proveMsLow).toBeLessThan(cost.proveMs);
    expect(cost.proveMsHigh).toBeGreaterThan(cost.proveMs);
    expect(cost.proveMsHigh / cost.proveMsLow).toBeLessThan(
      (was?.proveMsHigh ?? 0) / (was?.proveMsLow ?? 1),
    );
  }
});

test("a service closed during its calibration ends at once", async () => {
  await listen(calibration);
  await prover.untilProofs(1);
  await service.close();
  expect(service.provers()).toEqual([]);
});

test("without a calibration it takes work as soon as its prover is up", async () => {
  await listen();
  await service.ready();
  expect(await device()).toMatchObject({ state: DeviceState.IDLE, detail: "" });
  expect(prover.proofs).toBe(0);
});
