// The addon over the real lean_pq backend: its exports, its argument checks, its lifetime, and the
// outcomes that the service relies on.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAddon, type NativeProver, type SignedMessage } from "../../native/addon.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SETUP_MS_MAX = 60_000;
const PROOF_MS_MAX = 60_000;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 2404;
// Numbers of lean_prover_status.
const OK = 0;
const INVALID_ARGUMENT = 1;
const BAD_SIGNATURE = 2;
const BAD_AGGREGATE = 3;
const UNSUPPORTED = 4;
const UNAVAILABLE = 5;

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
      ...["limitResource", "lockFile", "open", "setAffinity"],
    ]);
  });

  it("rejects with status and path when the library is missing", async () => {
    await expect(addon.open("/nowhere/backend.so", "")).rejects.toMatchObject({
      status: UNAVAILABLE,
      message: expect.stringContaining("/nowhere/backend.so") as string,
    });
  });

  it("rejects with the missing line's name when the config lacks one", async () => {
    await expect(addon.open(libraryPath, "python=/x\n")).rejects.toMatchObject({
      status: UNAVAILABLE,
      message: expect.stringContaining("libpython") as string,
    });
  });

  it("rejects when libpython cannot be loaded, and leaves later opens possible", async () => {
    const broken = config.replace(setup.libpython, "/nowhere/libpython.so");
    await expect(addon.open(libraryPath, broken)).rejects.toMatchObject({ status: UNAVAILABLE });
  });

  it.each([
    ["open", [1, ""], "libraryPath"],
    ["open", ["/x", undefined], "config"],
    ["open", ["/x\0y", ""], "libraryPath"],
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
    prover = await addon.open(libraryPath, config);
  }, SETUP_MS_MAX);

  afterAll(() => {
    prover.close();
  });

  it("describes itself", () => {
    expect(prover.describe()).toEqual({
      backend: "lean_pq",
      scheme: "leanxmss",
      revision: "py-lean-pq-0.7.0",
      kinds: 1,
      publicKeyBytes: KEY_BYTES,
      signatureBytes: SIGNATURE_BYTES,
      proofBytesMax: 524288,
      childrenMax: 16,
      rawsMax: 4096,
      rates: 0,
      keyOrderMatters: false,
    });
  });

  it("refuses a second handle in the process", async () => {
    await expect(addon.open(libraryPath, config)).rejects.toMatchObject({ status: UNAVAILABLE });
  });

  const key = keys(1);
  const signature = signatures(1);
  const claim = { proof: child, keys: keys(CHILD_KEYS) };
  it.each([
    ["verifySignatures", [undefined, key, signature], "m must"],
    ["verifySignatures", [{ root: "00", slot: 1 }, key, signature], "m.root"],
    ["verifySignatures", [{ root: new Uint8Array(31), slot: 1 }, key, signature], "m.root"],
    ["verifySignatures", [{ ...m, slot: -1 }, key, signature], "m.slot"],
    ["verifySignatures", [{ ...m, slot: 2 ** 32 }, key, signature], "m.slot"],
    ["verifySignatures", [{ ...m, slot: Number.NaN }, key, signature], "m.slot"],
    ["verifySignatures", [{ ...m, slot: 100n }, key, signature], "m.slot"],
    ["verifySignatures", [m, new Uint16Array(32), signature], "keys"],
    ["verifySignatures", [m, new Uint8Array(33), signature], "keys"],
    ["verifySignatures", [m, key, signature.subarray(1)], "signatures"],
    ["verifySignatures", [m, keys(2), signature], "signatures"],
    ["verifyAggregate", [m, null], "claim"],
    ["verifyAggregate", [m, { proof: [1], keys: key }], "claim.proof"],
    ["verifyAggregate", [m, { proof: child }], "claim.keys"],
    ["aggregate", [m, key, signature, {}, 0], "children"],
    ["aggregate", [m, key, signature, [claim, { keys: key }], 0], "children[1].proof"],
    ["aggregate", [m, key, signature, []], "logInvRate"],
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
    const verdicts = await prover.verifySignatures(m, keys(64), signatures(64));
    expect(verdicts).toEqual(new Uint8Array(64).fill(OK));
  });

  it("names the changed signature among good ones", async () => {
    const changed = flipped(signatures(3), 2 * SIGNATURE_BYTES - 1);
    const verdicts = await prover.verifySignatures(m, keys(3), changed);
    expect([...verdicts]).toEqual([OK, BAD_SIGNATURE, OK]);
  });

  it("distinguishes a valid signature at the wrong leaf from a bad one", async () => {
    const { validator, signaturesOffset } = manifest.wrongLeaf;
    const wrong = signatures(1, signaturesOffset);
    const verdicts = await prover.verifySignatures(m, keys(1, validator), wrong);
    expect([...verdicts]).toEqual([INVALID_ARGUMENT]);
    await expect(prover.aggregate(m, keys(1, validator), wrong, [], 0)).rejects.toMatchObject({
      status: INVALID_ARGUMENT,
    });
  });

  it("copies its inputs: changing them after the call changes nothing", async () => {
    const mine = Uint8Array.from(signatures(1));
    const pending = prover.verifySignatures(m, keys(1), mine);
    mine.fill(0);
    expect([...(await pending)]).toEqual([OK]);
  });

  it(
    "proves a raw signature, and the proof attests that key and no other",
    async () => {
      const proof = await prover.aggregate(m, keys(1), signatures(1), [], 0);
      expect(proof.length).toBeLessThanOrEqual(prover.describe().proofBytesMax);
      expect(await prover.verifyAggregate(m, { proof, keys: keys(1) })).toBe(true);
      expect(await prover.verifyAggregate(m, { proof, keys: keys(2) })).toBe(false);
      expect(await prover.verifyAggregate(m, { proof, keys: keys(1, 1) })).toBe(false);
      const changed = flipped(proof, proof.length / 2);
      expect(await prover.verifyAggregate(m, { proof: changed, keys: keys(1) })).toBe(false);
    },
    PROOF_MS_MAX,
  );

  it("resolves false for an extra claim, a missing one and another message", async () => {
    expect(await prover.verifyAggregate(m, claim)).toBe(true);
    const extra = { proof: child, keys: keys(CHILD_KEYS + 1) };
    expect(await prover.verifyAggregate(m, extra)).toBe(false);
    const missing = { proof: child, keys: keys(CHILD_KEYS - 1) };
    expect(await prover.verifyAggregate(m, missing)).toBe(false);
    const other = { root: flipped(m.root, 0), slot: m.slot };
    expect(await prover.verifyAggregate(other, claim)).toBe(false);
  });

  it("does not prove over a changed signature, nor over a child that attests others", async () => {
    const changed = flipped(signatures(1), SIGNATURE_BYTES - 1);
    await expect(prover.aggregate(m, keys(1), changed, [], 0)).rejects.toMatchObject({
      status: BAD_SIGNATURE,
      message: expect.stringContaining("raw signature 0") as string,
    });
    const lying = { proof: child, keys: keys(CHILD_KEYS + 1) };
    await expect(prover.aggregate(m, keys(1), signatures(1), [lying], 0)).rejects.toMatchObject({
      status: BAD_AGGREGATE,
    });
  });

  it("refuses to prove nothing, and a rate that it does not offer", async () => {
    const none = new Uint8Array(0);
    await expect(prover.aggregate(m, none, none, [], 0)).rejects.toMatchObject({
      status: INVALID_ARGUMENT,
    });
    await expect(prover.aggregate(m, keys(1), signatures(1), [], 1)).rejects.toMatchObject({
      status: UNSUPPORTED,
    });
  });

  it("lets a running call end after close, throws on later calls, and can open anew", async () => {
    const running = prover.verifyAggregate(m, claim);
    prover.close();
    prover.close();
    expect(() => prover.describe()).toThrow("closed");
    expect(() => prover.verifyAggregate(m, claim)).toThrow("closed");
    expect(() => prover.verifySignatures(m, keys(1), signatures(1))).toThrow("closed");
    expect(() => prover.aggregate(m, keys(1), signatures(1), [], 0)).toThrow("closed");
    expect(await running).toBe(true);
    prover = await addon.open(libraryPath, config);
    expect(await prover.verifyAggregate(m, claim)).toBe(true);
  });
});
