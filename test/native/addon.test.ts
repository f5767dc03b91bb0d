// The addon over the real lean_pq backend: its exports, its argument checks, its lifetime, and the
// outcomes that the service relies on.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  loadAddon,
  type KeyClaim,
  type ProofJob,
  type ClaimedProof,
  type SignedRaws,
  type NativeProver,
  type SignedMessage,
} from "../../native/addon.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SETUP_MS_MAX = 60_000;
const PROOF_MS_MAX = 60_000;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 2404;
// Numbers of lp_status and lp_verdict.
const INVALID = 1;
const BAD_SIGNATURE = 2;
const BAD_PROOF = 3;
const UNSUPPORTED = 4;
const UNAVAILABLE = 5;
const VERDICTS = { good: 0, bad: 1, wrongSlot: 2 };

interface Manifest {
  validators: { publicKey: string }[];
  groups: { data: { slot: number }; root: string; signaturesOffset: number }[];
  wrongLeaf: { validator: number; signaturesOffset: number };
}

interface Setup {
  library: string;
  libpython: string;
  python: string;
  sitepackages: string;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), "utf8"));
}

const addon = loadAddon();
const setup = readJson("build/lean_pq.json") as Setup;
const libraryPath = join(ROOT, setup.library);
const config = (["libpython", "python", "sitepackages"] as const)
  .map((key) => `${key}=${setup[key]}\n`)
  .join("");

const manifest = readJson("test/vectors/xmss/vectors.json") as Manifest;
const packed = readFileSync(join(ROOT, "test/vectors/xmss/signatures.bin"));
const child = readFileSync(join(ROOT, "test/vectors/xmss/child-100-a.bin"));
const CHILD_KEYS = 16;
const LIMITS = {
  rawsMax: 4096,
  rawsBesideMax: 4096,
  childrenMax: 16,
  arities: 0,
  claimsMax: 64,
  keysMax: 4096,
};
const NO_CONFIG = { config: "", threads: 0 };

/** The first group: all validators signed it, in order. */
function group() {
  const first = manifest.groups[0];
  if (first === undefined) throw new Error("the vectors have no group");
  return first;
}

const m: SignedMessage = { root: Buffer.from(group().root, "hex"), slot: group().data.slot };

function keys(count: number, from = 0): Uint8Array {
  const chosen = manifest.validators.slice(from, from + count);
  return Buffer.concat(chosen.map((validator) => Buffer.from(validator.publicKey, "hex")));
}

function signatures(count: number, offset = group().signaturesOffset): Uint8Array {
  return packed.subarray(offset, offset + count * SIGNATURE_BYTES);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

/** Calls with values that the types forbid, as JavaScript callers may. */
function call(target: object, name: string, ...args: unknown[]): unknown {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== "function") throw new Error(`no method ${name}`);
  return Reflect.apply(method, target, args);
}

describe("the addon's surface", () => {
  it("exports exactly what native/addon.ts declares", () => {
    expect(Object.keys(addon).sort()).toEqual([
      ...["dieWithParent", "forbidInspection", "forbidNewPrivileges", "hideDescriptors"],
      ...["limitResource", "lockFile", "open", "sendDatagram", "setAffinity"],
    ]);
  });

  it("rejects with status and path when the library is missing", async () => {
    await expect(addon.open("/nowhere/backend.so", NO_CONFIG)).rejects.toMatchObject({
      status: UNAVAILABLE,
      message: expect.stringContaining("/nowhere/backend.so") as string,
    });
  });

  it("rejects with the missing line's name when the config lacks one", async () => {
    await expect(
      addon.open(libraryPath, { config: "python=/x\n", threads: 0 }),
    ).rejects.toMatchObject({
      status: UNAVAILABLE,
      message: expect.stringContaining("libpython") as string,
    });
  });

  it("rejects when libpython cannot be loaded, and leaves later opens possible", async () => {
    const broken = config.replace(setup.libpython, "/nowhere/libpython.so");
    await expect(addon.open(libraryPath, { config: broken, threads: 0 })).rejects.toMatchObject({
      status: UNAVAILABLE,
    });
  });

  it.each([
    ["open", [1, NO_CONFIG], "libraryPath"],
    ["open", ["/x", undefined], "options"],
    ["open", ["/x", { threads: 0 }], "options.config"],
    ["open", ["/x", { config: "" }], "options.threads"],
    ["open", ["/x\0y", NO_CONFIG], "libraryPath"],
    ["lockFile", [], "path"],
    ["setAffinity", [0], "cores"],
    ["setAffinity", [[0.5]], "cores[0]"],
    ["setAffinity", [[0, "1"]], "cores[1]"],
  ])("%s throws a TypeError that names the argument (%#)", (name, args, argument) => {
    const attempt = () => call(addon, name, ...args);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(argument);
  });
});

describe("a prover", () => {
  let prover: NativeProver;

  beforeAll(async () => {
    prover = await addon.open(libraryPath, { config, threads: 0 });
  }, SETUP_MS_MAX);

  afterAll(() => {
    prover.close();
  });

  it("describes itself", () => {
    expect(prover.describe()).toEqual({
      backend: "lean_pq",
      scheme: "leanxmss",
      revision: "py-lean-pq-0.7.0",
      kinds: 3,
      can: 2 + 4 + 8 + 16 + 32 + 256,
      publicKeyBytes: KEY_BYTES,
      signatureBytes: SIGNATURE_BYTES,
      proofBytesMax: 524288,
      rates: 0,
      rateDefault: 0,
      setupMs: 5000,
      fold: { ...LIMITS, claimsMax: 1 },
      merge: { ...LIMITS, keysMax: 64 * LIMITS.keysMax },
      idleBytes: 0,
      peakBytes: 0,
    });
  });

  it("refuses a second handle in the process", async () => {
    await expect(addon.open(libraryPath, { config, threads: 0 })).rejects.toMatchObject({
      status: UNAVAILABLE,
    });
  });

  const raws = rawsOf(1);
  const proof = childOf(keys(CHILD_KEYS));
  const job = { kind: "fold", logInvRate: 0, raws: [raws], children: [], wanted: [claimOf(1)] };
  it.each([
    ["verifySignatures", [undefined], "raws must"],
    ["verifySignatures", [{ ...raws, root: "00" }], "raws.root"],
    ["verifySignatures", [{ ...raws, root: new Uint8Array(31) }], "raws.root"],
    ["verifySignatures", [{ ...raws, slot: -1 }], "raws.slot"],
    ["verifySignatures", [{ ...raws, slot: 2 ** 32 }], "raws.slot"],
    ["verifySignatures", [{ ...raws, slot: Number.NaN }], "raws.slot"],
    ["verifySignatures", [{ ...raws, slot: 100n }], "raws.slot"],
    ["verifySignatures", [{ ...raws, keys: new Uint16Array(32) }], "raws.keys"],
    ["verifySignatures", [{ ...raws, keys: new Uint8Array(33) }], "raws.keys"],
    ["verifySignatures", [{ ...raws, signatures: raws.signatures.subarray(1) }], "raws.signatures"],
    ["verifySignatures", [{ ...raws, keys: keys(2) }], "raws.signatures"],
    ["verify", [null], "proof must"],
    ["verify", [{ ...proof, kind: "split" }], "proof.kind"],
    ["verify", [{ ...proof, bytes: [1] }], "proof.bytes"],
    ["verify", [{ ...proof, claims: {} }], "proof.claims"],
    ["verify", [{ ...proof, claims: [claimOf(1), { ...m }] }], "proof.claims[1].keys"],
    ["prove", [{ ...job, kind: 1 }], "job.kind"],
    ["prove", [{ ...job, raws: raws }], "job.raws"],
    ["prove", [{ ...job, children: [proof, { kind: "fold" }] }], "job.children[1].bytes"],
    ["prove", [{ ...job, wanted: [raws, 1] }], "job.wanted[1]"],
    ["prove", [{ ...job, logInvRate: undefined }], "job.logInvRate"],
  ])("%s throws a TypeError that names the argument (%#)", (name, args, argument) => {
    const attempt = () => call(prover, name, ...args);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(argument);
  });

  it("throws, and does not crash, when a method is called on another object", () => {
    const method: unknown = Reflect.get(prover, "describe");
    if (typeof method !== "function") throw new Error("no method describe");
    expect(() => Reflect.apply(method, {}, [])).toThrow();
    expect(() => Reflect.construct(prover.constructor, [])).toThrow(TypeError);
  });

  it("verifies every signature of a group", async () => {
    const verdicts = await prover.verifySignatures(rawsOf(64));
    expect(verdicts).toEqual(new Uint8Array(64).fill(VERDICTS.good));
  });

  it("names the changed signature among good ones", async () => {
    const changed = { ...rawsOf(3), signatures: flipped(signatures(3), 2 * SIGNATURE_BYTES - 1) };
    const { good, bad } = VERDICTS;
    expect([...(await prover.verifySignatures(changed))]).toEqual([good, bad, good]);
  });

  it("distinguishes a valid signature at the wrong leaf from a bad one", async () => {
    const { validator, signaturesOffset } = manifest.wrongLeaf;
    const claim = { ...m, keys: keys(1, validator) };
    const wrong = { ...claim, signatures: signatures(1, signaturesOffset) };
    expect([...(await prover.verifySignatures(wrong))]).toEqual([VERDICTS.wrongSlot]);
    await expect(fold([wrong], [], claim)).rejects.toMatchObject({ status: BAD_SIGNATURE });
  });

  it("finds a signature bad that names another slot and does not verify there", async () => {
    const spoilt = { ...rawsOf(1), signatures: flipped(signatures(1), 0) };
    expect([...(await prover.verifySignatures(spoilt))]).toEqual([VERDICTS.bad]);
  });

  it("copies its inputs: changing them after the call changes nothing", async () => {
    const mine = Uint8Array.from(signatures(1));
    const pending = prover.verifySignatures({ ...claimOf(1), signatures: mine });
    mine.fill(0);
    expect([...(await pending)]).toEqual([VERDICTS.good]);
  });

  it(
    "proves a raw signature, and the proof attests that key and no other",
    async () => {
      const bytes = await fold([rawsOf(1)], [], claimOf(1));
      expect(bytes.length).toBeLessThanOrEqual(prover.describe().proofBytesMax);
      const attests = (keys: Uint8Array, made = bytes) =>
        prover.verify({ kind: "fold", bytes: made, claims: [{ ...m, keys }] });
      expect(await attests(keys(1))).toBe(true);
      expect(await attests(keys(2))).toBe(false);
      expect(await attests(keys(1, 1))).toBe(false);
      expect(await attests(keys(1), flipped(bytes, bytes.length / 2))).toBe(false);
    },
    PROOF_MS_MAX,
  );

  it(
    "merges a proof and raw signatures of two messages, and attests both",
    async () => {
      const [, second] = manifest.groups;
      if (second === undefined) throw new Error("the vectors have one group");
      const other = { root: Buffer.from(second.root, "hex"), slot: second.data.slot };
      const raw = { ...other, keys: keys(1), signatures: signatures(1, second.signaturesOffset) };
      const child = childOf(keys(CHILD_KEYS));
      const claims = [
        { ...m, keys: keys(CHILD_KEYS) },
        { ...other, keys: keys(1) },
      ];
      const merge = { kind: "merge", logInvRate: 0, raws: [raw], children: [child] } as const;
      const bytes = await prover.prove({ ...merge, wanted: claims });
      const attests = (claims: KeyClaim[]) => prover.verify({ kind: "merge", bytes, claims });
      expect(await attests(claims)).toBe(true);
      expect(await attests(claims.slice(0, 1))).toBe(false);
      expect(
        await attests([
          { ...m, keys: keys(CHILD_KEYS) },
          { ...other, keys: keys(2) },
        ]),
      ).toBe(false);
      const less = prover.prove({ ...merge, wanted: claims.slice(0, 1) });
      await expect(less).rejects.toMatchObject({ status: INVALID });
    },
    PROOF_MS_MAX,
  );

  it("resolves false for an extra claim, a missing one and another message", async () => {
    expect(await prover.verify(proof)).toBe(true);
    expect(await prover.verify(childOf(keys(CHILD_KEYS + 1)))).toBe(false);
    expect(await prover.verify(childOf(keys(CHILD_KEYS - 1)))).toBe(false);
    const other = { root: flipped(m.root, 0), slot: m.slot, keys: keys(CHILD_KEYS) };
    expect(await prover.verify({ ...proof, claims: [other] })).toBe(false);
  });

  it("does not prove over a changed signature, nor over a child that attests others", async () => {
    const changed = { ...rawsOf(1), signatures: flipped(signatures(1), SIGNATURE_BYTES - 1) };
    await expect(fold([changed], [], claimOf(1))).rejects.toMatchObject({
      status: BAD_SIGNATURE,
      message: expect.stringContaining("raws[0] key 0: ") as string,
    });
    const lying = childOf(keys(CHILD_KEYS + 1));
    await expect(fold([], [lying], claimOf(CHILD_KEYS + 1))).rejects.toMatchObject({
      status: BAD_PROOF,
      message: expect.stringContaining("children[0]: ") as string,
    });
  });

  it("refuses to prove nothing, other claims than wanted, and a rate it does not offer", async () => {
    await expect(fold([], [], claimOf(1))).rejects.toMatchObject({ status: INVALID });
    await expect(fold([rawsOf(1)], [], claimOf(2))).rejects.toMatchObject({ status: INVALID });
    const rate = prover.prove({ ...fold1(), logInvRate: 1 });
    await expect(rate).rejects.toMatchObject({ status: UNSUPPORTED });
  });

  it("lets a running call end after close, throws on later calls, and can open anew", async () => {
    const running = prover.verify(proof);
    prover.close();
    prover.close();
    expect(() => prover.describe()).toThrow("closed");
    expect(() => prover.verify(proof)).toThrow("closed");
    expect(() => prover.verifySignatures(rawsOf(1))).toThrow("closed");
    expect(() => prover.prove(fold1())).toThrow("closed");
    expect(await running).toBe(true);
    prover = await addon.open(libraryPath, { config, threads: 0 });
    expect(await prover.verify(proof)).toBe(true);
  });

  function fold1(): ProofJob {
    return { kind: "fold", logInvRate: 0, raws: [rawsOf(1)], children: [], wanted: [claimOf(1)] };
  }

  function fold(raws: SignedRaws[], children: ClaimedProof[], wanted: KeyClaim) {
    return prover.prove({ kind: "fold", logInvRate: 0, raws, children, wanted: [wanted] });
  }
});

function claimOf(count: number): KeyClaim {
  return { ...m, keys: keys(count) };
}

function rawsOf(count: number): SignedRaws {
  return { ...claimOf(count), signatures: signatures(count) };
}

function childOf(keys: Uint8Array): ClaimedProof {
  return { kind: "fold", bytes: child, claims: [{ ...m, keys }] };
}
