/** The fake prover keeps the promises of the real one. */
import { describe, expect, it } from "vitest";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import type { FakeProverOptions } from "../../../../server/prover/fake/fake.js";
import { foldedProof, foldOfAll } from "../../../../server/prover/prover.js";
import type { FoldInputs, Prover } from "../../../../server/prover/prover.js";

const SLOT = 100;
const message = { root: new Uint8Array(32).fill(9), slot: SLOT };

function keys(...numbers: number[]): Uint8Array {
  return Buffer.concat(numbers.map((n) => Buffer.alloc(32, n)));
}

function signatures(...numbers: number[]): Uint8Array {
  return Buffer.concat(numbers.map((n) => fakeSignature(keys(n), message.root, SLOT)));
}

function job(...numbers: number[]): FoldInputs {
  return {
    message,
    keys: keys(...numbers),
    signatures: signatures(...numbers),
    children: [],
    logInvRate: 0,
  };
}

const fold = (prover: Prover, inputs: FoldInputs) =>
  prover.prove(foldOfAll(prover.description, inputs));

function start(sleep: (ms: number) => Promise<void> = () => Promise.resolve()): Prover {
  return startFakeProver({ proveMs: ({ raws, children }) => 100 * raws + 1000 * children, sleep });
}

describe("the fake prover", () => {
  it("says that it is fake", async () => {
    const { description } = await start();
    expect(description).toMatchObject({ fake: true, scheme: "fake", revision: "fake-1" });
  });

  it("distinguishes good signatures, bad ones and those at another leaf", async () => {
    const prover = await start();
    const bad = fakeSignature(keys(7), message.root, SLOT);
    const wrongLeaf = fakeSignature(keys(3), message.root, SLOT + 1);
    const packed = Buffer.concat([signatures(1), bad, wrongLeaf]);
    const verdicts = await prover.verifySignatures({
      ...message,
      keys: keys(1, 2, 3),
      signatures: packed,
    });
    expect(verdicts).toEqual(["ok", "bad_signature", "wrong_leaf"]);
  });

  it("proves exactly the keys of raws and children, in any order", async () => {
    const prover = await start();
    const child = { proof: await fold(prover, job(5, 2)), keys: keys(2, 5) };
    const proof = await fold(prover, { ...job(3, 2), children: [child] });
    const verify = (...numbers: number[]) =>
      prover.verify(foldedProof(message, { proof, keys: keys(...numbers) }));
    expect(await verify(5, 3, 2)).toBe(true);
    expect(await verify(3, 2)).toBe(false);
    expect(await verify(2, 3, 5, 6)).toBe(false);
    const other = { root: new Uint8Array(32), slot: SLOT };
    expect(await prover.verify(foldedProof(other, { proof, keys: keys(2, 3, 5) }))).toBe(false);
  });

  it("refuses bad raws, bad children, broken sizes and nothing at all", async () => {
    const prover = await start();
    const good = job(1);
    const badChild = { proof: new Uint8Array(36), keys: keys(4) };
    for (const bad of [
      { ...good, signatures: signatures(2) },
      { ...good, children: [badChild] },
      { ...good, keys: good.keys.subarray(1) },
      { ...good, signatures: new Uint8Array(0) },
      job(),
    ]) {
      await expect(fold(prover, bad)).rejects.toMatchObject({ kind: "refused" });
    }
  });

  it("takes the time that its options say, one proof at a time, and verifies meanwhile", async () => {
    const sleeps: { ms: number; wake: () => void }[] = [];
    const prover = await start((ms) => new Promise((wake) => sleeps.push({ ms, wake })));
    const proving = fold(prover, job(1, 2));
    expect(sleeps.map(({ ms }) => ms)).toEqual([200]);
    await expect(fold(prover, job(1))).rejects.toMatchObject({ kind: "internal" });
    expect(await prover.verifySignatures({ ...message, ...job(1) })).toEqual(["ok"]);
    sleeps[0]?.wake();
    expect(await proving).toBeInstanceOf(Uint8Array);
  });

  it("rejects pending and later requests once killed", async () => {
    const prover = await start(() => new Promise(() => undefined));
    const proving = fold(prover, job(1));
    prover.kill();
    prover.kill();
    await expect(proving).rejects.toMatchObject({ name: "ProverError", kind: "died" });
    await expect(fold(prover, job(1))).rejects.toMatchObject({ kind: "died" });
    await expect(
      prover.verify(foldedProof(message, { proof: new Uint8Array(1), keys: keys(1) })),
    ).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({ cause: "killed_by_us" });
  });
});

describe("the fake prover that accepts any", () => {
  const any = (options: Partial<FakeProverOptions> = {}) =>
    startFakeProver({
      accepts: "any",
      proveMs: () => 1,
      sleep: () => Promise.resolve(),
      ...options,
    });
  /** As admission packs them: the SHA-256 of what the client sent. */
  const anyJob = (...numbers: number[]): FoldInputs => ({
    ...job(...numbers),
    signatures: Buffer.concat(numbers.map((n) => Buffer.alloc(32, n))),
  });

  it("says so, and with another revision, since neither verifies the other's proofs", async () => {
    const { description } = await any();
    expect(description).toMatchObject({ fake: true, anySize: true, revision: "fake-any-1" });
    expect((await start()).description.anySize).toBeUndefined();
  });

  it("takes every signature, proves exactly the keys, and folds its own proofs only", async () => {
    const prover = await any();
    const { signatures: unchecked } = anyJob(1, 2);
    expect(
      await prover.verifySignatures({ ...message, keys: keys(1, 2), signatures: unchecked }),
    ).toEqual(["ok", "ok"]);
    const child = { proof: await fold(prover, anyJob(5, 2)), keys: keys(2, 5) };
    const proof = await fold(prover, { ...anyJob(3), children: [child] });
    expect(await prover.verify(foldedProof(message, { proof, keys: keys(2, 3, 5) }))).toBe(true);
    expect(await prover.verify(foldedProof(message, { proof, keys: keys(3, 5) }))).toBe(false);
    const foreign = { proof: new Uint8Array(2000).fill(7), keys: keys(9) };
    expect(await prover.verify(foldedProof(message, foreign))).toBe(false);
  });

  it("reports the errors, dies the deaths and hangs the hangs of its plan", async () => {
    const failing = await any({ failure: () => "error" });
    await expect(fold(failing, anyJob(1))).rejects.toMatchObject({ kind: "internal" });
    const dying = await any({ failure: () => "death" });
    await expect(fold(dying, anyJob(1))).rejects.toMatchObject({ kind: "died" });
    expect(await dying.exited).toMatchObject({ cause: "died" });
    const hanging = await any({ failure: () => "hang" });
    const proof = fold(hanging, anyJob(1));
    expect(await Promise.race([proof, Promise.resolve("waits")])).toBe("waits");
    hanging.kill();
    await expect(proof).rejects.toMatchObject({ kind: "died" });
  });
});
