/** What a lane host that lies about a merge can do to a door, and which hosts have a part in merges. */
import { expect, test } from "vitest";
import { sha256 } from "../../../server/bytes.js";
import type { LeftOutAt, RemoteResult } from "../../../server/fleet/wire/messages.js";
import { description } from "../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, mergeOf } from "./door.js";

const PROOF = new Uint8Array(100).fill(9);
const d1 = { door: "d1", run: DOOR_RUN };

/** Two hosts of which the first has the merge; `end` ends it and returns how the door takes that. */
async function assigned() {
  const { host, door, run } = fleet();
  const d = door();
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  d.assign("h1.cpu", 1, mergeOf());
  await run(1);
  const end = async (result: RemoteResult) => {
    h1.end(d1, 1, result);
    await run(1200);
    return d.results("h1.cpu")[0]?.result;
  };
  return { d, h1, h2, end, run };
}

test("another host is asked about exactly the claims of a merge, in their order", async () => {
  const { d, h1, h2, end } = await assigned();
  expect(await end(h1.proved(PROOF))).toEqual({
    ...{ kind: "proved", proof: PROOF, proveMs: 5, verifiedBy: "other_host" },
    ...{ validators: [], childrenFolded: [], leftOut: [] },
  });
  const [first, second] = mergeOf().components;
  const [asked] = h2.ofKind("verify");
  expect(asked?.of).toEqual({
    kind: "merge",
    claims: [
      { message: first?.message, keyBytes: 64 },
      { message: second?.message, keyBytes: 32 },
    ],
  });
  const keys = [...new Uint8Array(32), ...new Uint8Array(32).fill(1), ...new Uint8Array(32)];
  expect(asked?.keys.inline).toEqual(new Uint8Array(keys));
  expect(await d.count("fleet_faults_total")).toBe(0);
  expect(d.memory.heldBytes).toBe(0);
});

test("a false proof of a merge ends its attempt, and counts against its maker", async () => {
  const { d, h1, h2, end } = await assigned();
  h2.verdict = () => ({ kind: "verdict", isValid: false });
  expect(await end(h1.proved(PROOF))).toMatchObject({
    kind: "failed",
    detail: "the proof of device h1.cpu is invalid, says h2",
  });
  expect(await d.count("fleet_faults_total", { fault: "invalid_proof" })).toBe(1);
});

const bad = (
  at: number,
  reason: LeftOutAt["reason"],
  digest: Uint8Array = new Uint8Array(32),
): LeftOutAt => {
  return { reason, input: { kind: "component", at }, digest };
};
const rejected = (...leftOut: LeftOutAt[]): RemoteResult => ({ kind: "rejected", leftOut });

test("a bad component is believed when it is named by its input", async () => {
  const { d, end } = await assigned();
  const digest = sha256(Uint8Array.of(1, 2));
  expect(await end(rejected(bad(1, "bad_child", digest)))).toEqual({
    kind: "rejected",
    leftOut: [{ reason: "bad_child", input: { kind: "component", componentIndex: 1 }, digest }],
  });
  expect(await d.count("fleet_faults_total")).toBe(0);
});

test.each<[string, RemoteResult]>([
  ["a component that is not there", rejected(bad(2, "bad_child"))],
  ["an input that is not there", rejected(bad(1, "bad_child"))],
  ["a signature of a proof", rejected(bad(1, "bad_signature", sha256(Uint8Array.of(1, 2))))],
  ["no component", rejected()],
  ["a raw signature", rejected({ ...bad(0, "shed"), input: { kind: "raw", at: 0 } })],
])("a merge that is rejected for %s ends as an error of the host", async (_, result) => {
  const { d, end } = await assigned();
  expect(await end(result)).toMatchObject({ kind: "failed", reason: "prover_error", deaths: 0 });
  expect(await d.count("fleet_faults_total", { fault: "garbage" })).toBe(1);
});

test("a proof without all components is refused", async () => {
  const { d, h1, end } = await assigned();
  const proved = h1.proved(PROOF);
  if (proved.kind !== "proved") throw new Error("it is another result");
  const leftOut = [bad(1, "bad_child", sha256(Uint8Array.of(1, 2)))];
  expect(await end({ ...proved, leftOut })).toMatchObject({ kind: "failed" });
  expect(await d.count("fleet_faults_total", { fault: "garbage" })).toBe(1);
});

test.each([0, 1])(
  "a host whose prover merges %d messages verifies no merge of two",
  async (most) => {
    const { h1, h2, end } = await assigned();
    h2.announce("cpu", { description: { ...description, messagesMax: most } });
    expect(await end(h1.proved(PROOF))).toMatchObject({ verifiedBy: "same_host" });
    expect(h2.ofKind("verify")).toEqual([]);
  },
);
