/** Real provers, and the service, killed in the middle of a tree of jobs: one outcome, judged at the adapter. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { bitsToIndices } from "../../proto/bitlist.js";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { isRunning } from "../../tools/harness/processes/processes.js";
import { dataOf, raw } from "../../tools/harness/vectors.js";
import { Oracle } from "./chaos-oracle.js";
import { ChaosRandom } from "./chaos-random.js";
import { Site } from "./chaos-service.js";

/** Two leaves, and the fold of their proofs. */
const SIGNERS = 32;
const LEAF_RAWS_MAX = 16;
const SETTINGS = { LEAN_AGGREGATOR_LEAF_RAWS_MAX: `${LEAF_RAWS_MAX}` };
/** Provers are set up again and again, which takes a busy machine minutes. */
const TIMEOUT_MS = 240_000;
const random = new ChaosRandom("trees");

let site: Site;
let service: ServiceProcess;
let oracle: Oracle;

beforeAll(async () => {
  site = new Site();
  service = await site.start(SETTINGS);
  oracle = new Oracle(site.address);
}, TIMEOUT_MS);

beforeEach(() => service.fullStrength(), TIMEOUT_MS);

afterAll(async () => {
  try {
    await oracle.close();
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(await site.leftovers()).toEqual([]);
  } finally {
    site.dispose();
  }
});

/** Each begins at another validator: inputs that provers died over are remembered. */
test.each([
  ["in its first leaf", 0, 100, 600],
  ["as its second leaf or its fold is proved", 1, 1000, 3000],
])(
  "prover killed %s: the group is proved once, with all its votes",
  async (_, first, low, high) => {
    const validators = Array.from({ length: SIGNERS }, (__, at) => first + at);
    const rawSignatures = validators.map((validator) => raw(0, validator));
    const submitted = await oracle.submitAndStart([{ data: dataOf(0), rawSignatures }]);
    await random.moment(low, high);
    process.kill(service.active(), "SIGKILL");
    const [outcome] = await oracle.expectProved(submitted);
    expect(bitsToIndices(outcome?.participants ?? new Uint8Array())).toEqual(validators);
    await oracle.expectNothingLostOrDoubled();
    await oracle.expectOutcomesUnchanged();
  },
);

test(
  "service killed in the middle of a tree: it ends once, no job goes on, and the new run proves the same",
  async () => {
    const validators = Array.from({ length: SIGNERS }, (_, at) => 2 + at);
    const votes = { data: dataOf(0), rawSignatures: validators.map((each) => raw(0, each)) };
    const jobs = service.provers();
    const submitted = await oracle.submitAndStart([votes]);
    await random.moment(100, 2000);
    service.signal("SIGKILL");
    await service.exited;
    service = site.spawn(SETTINGS);
    const [ending] = await oracle.endings(submitted);
    expect([["LOST"], ["PROVED"]]).toContainEqual(ending);
    await service.fullStrength(1);
    expect(jobs.filter(isRunning)).toEqual([]);
    const [outcome] = await oracle.expectProved(await oracle.submit([votes]));
    expect(bitsToIndices(outcome?.participants ?? new Uint8Array())).toEqual(validators);
    await oracle.expectNothingLostOrDoubled();
  },
  TIMEOUT_MS,
);
