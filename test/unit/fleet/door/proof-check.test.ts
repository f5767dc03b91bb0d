/** Who verifies a proof of a lane host before it is delivered. */
import { expect, test } from "vitest";
import { description } from "../../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, workOf } from "../door.js";

const PROOF = new Uint8Array(100).fill(9);

test("what its maker alone has verified says so", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(1));
  await run(1);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "same_host" });
  expect(d1.logged.map(({ text }) => text)).toContain(
    "no other host could verify a proof; its maker's word is taken",
  );
});

test("with --verify same-host no other host is asked", async () => {
  const { host, door, run } = fleet();
  const d1 = door("d1", { verify: "same-host" });
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  d1.assign("h1.cpu", 1, workOf(1));
  await run(1);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "same_host" });
  expect(h2.ofKind("verify")).toEqual([]);
});

test("own devices verify first", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const claims: Uint8Array[] = [];
  d1.own = {
    description,
    verifier: {
      verify: (proof) => {
        claims.push(...proof.claims.map(({ keys }) => keys));
        return Promise.resolve(true);
      },
    },
  };
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  const work = workOf(2);
  d1.assign("h1.cpu", 1, work);
  await run(1);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(claims).toEqual([work.raws.keys]);
  expect(h2.ofKind("verify")).toEqual([]);
  expect(d1.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "other_host" });
});

test("a host that gave no answer is asked after the others for a minute", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  const able = host("h2").start();
  const hanging = host("h3").start();
  hanging.verdict = () => undefined;
  await run(300);
  const prove = async (attempt: number) => {
    d1.assign("h1.cpu", attempt, workOf(1), attempt);
    await run(1);
    // The hanging one was heard last.
    hanging.announce("cpu");
    await run(1);
    h1.end({ door: "d1", run: DOOR_RUN }, attempt, h1.proved(PROOF));
    h1.announce("cpu", { lease: attempt + 1 });
    await run(1200);
  };
  await prove(1);
  await prove(2);
  await prove(3);
  expect([hanging.ofKind("verify").length, able.ofKind("verify").length]).toEqual([1, 3]);
  await run(60_000);
  await prove(4);
  expect(hanging.ofKind("verify")).toHaveLength(2);
});

/** A proof of a host for which the other one is busy `times` times; `fenceInMs` of its attempt. */
async function provedBesideBusy(times: number, fenceInMs = 6000) {
  const { host, door, run } = fleet();
  const d1 = door();
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  h2.verdict = () =>
    h2.ofKind("verify").length <= times
      ? { kind: "unable", why: "3 verifications are in progress", isBusy: true }
      : { kind: "verdict", isValid: true };
  await run(300);
  d1.assign("h1.cpu", 1, workOf(1), 1, fenceInMs);
  await run(1);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  return { run, h2, result: () => d1.results("h1.cpu")[0]?.result };
}

test("a host that is busy is asked again until it is not, more often than others are asked", async () => {
  const { run, h2, result } = await provedBesideBusy(5);
  await run(450);
  expect(result()).toBeUndefined();
  await run(200);
  expect(result()).toMatchObject({ verifiedBy: "other_host" });
  expect(h2.ofKind("verify")).toHaveLength(6);
});

test("one that stays busy is waited for, for a second and no longer", async () => {
  const { run, result } = await provedBesideBusy(Infinity);
  await run(900);
  expect(result()).toBeUndefined();
  await run(300);
  expect(result()).toMatchObject({ verifiedBy: "same_host" });
});

test("no wait for a busy host costs a proof its fence", async () => {
  const { run, result } = await provedBesideBusy(Infinity, 700);
  await run(600);
  expect(result()).toMatchObject({ verifiedBy: "same_host" });
});

test("a host verifies what hosts of the same proof system have made, in its prover of that system", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const other = { description: { ...description, revision: "2" } };
  const [h1, h2] = [host("h1").start(), host("h2").start({ cpu: other })];
  const h3 = host("h3").start({ cpu: {}, gpu: other });
  await run(300);
  d1.assign("h2.cpu", 1, workOf(1));
  d1.assign("h1.cpu", 2, workOf(2));
  await run(1);
  h2.end({ door: "d1", run: DOOR_RUN }, 1, h2.proved(PROOF));
  h1.end({ door: "d1", run: DOOR_RUN }, 2, h1.proved(PROOF));
  await run(10);
  expect(h3.ofKind("verify").map(({ system }) => system)).toEqual(["scheme 2", "scheme 1"]);
  expect([...h1.ofKind("verify"), ...h2.ofKind("verify")]).toEqual([]);
  const verified = ["h1.cpu", "h2.cpu"].map((id) => d1.results(id)[0]?.result);
  expect(verified).toMatchObject([{ verifiedBy: "other_host" }, { verifiedBy: "other_host" }]);
});
