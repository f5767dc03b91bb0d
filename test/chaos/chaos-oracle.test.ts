/** The judge of the chaos suite, judged: its books stay right when a proof comes past its fence. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { Oracle } from "./chaos-oracle.js";
import { until } from "./chaos-service.js";
import { inventedGroup } from "../../tools/harness/wire/contract.js";
import { startTestService } from "../helpers/start-service.js";

const FENCE_MS = 1000;

let service: Service;
let oracle: Oracle;
beforeEach(async () => {
  service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  oracle = new Oracle(service.addresses[0] ?? "");
});
afterEach(async () => {
  await oracle.close();
  await service.close();
});

test("a fenced proof fails its own snapshot at once, and no later one", async () => {
  const submittedAtMs = performance.now();
  const groups = [inventedGroup(0), inventedGroup(1)];
  const fenced = await oracle.submit(groups, { fenceMs: FENCE_MS });
  // Nobody takes the proofs: to the adapter they are as late as those that come late.
  await until(() => performance.now() > submittedAtMs + 2 * FENCE_MS);
  await expect(oracle.results(fenced)).rejects.toThrow("2 of 2 groups: proof came past its fence");
  await oracle.expectNothingLostOrDoubled();
  expect(await oracle.endings(await oracle.submit([inventedGroup(2)]))).toEqual([["PROVED"]]);
  await oracle.expectNothingLostOrDoubled();
});
