import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SnapshotSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  checkByteLengths,
  checkProofs,
  wrongLength,
} from "../../../server/admission/byte-lengths.js";

const KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => (at * 37 + 11) & 0xff));
const SIGNATURE = Buffer.from(Array.from({ length: 2404 }, (_, at) => (at * 41 + 3) & 0xff));
const lengths = {
  scheme: "lean_pq",
  revision: "r1",
  publicKeyBytes: KEY.length,
  signatureBytes: SIGNATURE.length,
  proofBytesMax: 1000,
};

interface Given {
  keys?: Uint8Array[];
  /** Signatures of each group. */
  signatures?: Uint8Array[][];
  proofs?: Uint8Array[];
  /** That the proofs are said to be of. */
  proofSystem?: { scheme?: string; revision?: string };
}

function problemOf({
  keys = [KEY],
  signatures = [[SIGNATURE]],
  proofs = [],
  proofSystem,
}: Given): string {
  const snapshot = create(SnapshotSchema, {
    keys: keys.map((publicKey, validatorIndex) => ({ validatorIndex, publicKey })),
    groups: signatures.map((each) => ({
      rawSignatures: each.map((signature, validatorIndex) => ({ validatorIndex, signature })),
      children: proofs.map((proof) => {
        const participants = new Uint8Array([1]);
        return { participants, proof, ...(proofSystem && { proofSystem }) };
      }),
    })),
  });
  try {
    checkByteLengths(snapshot, lengths);
    checkProofs(snapshot, lengths);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "none";
}

const hex = (bytes: Buffer) => bytes.toString("hex");
const asBase64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const asText = (text: string) => new Uint8Array(Buffer.from(text));
const READ = "this is hex that was read as base64; JSON takes base64, and files also hex after 0x";

test.each([
  ["hex pasted as base64", asBase64(hex(KEY)), 48, READ],
  ["hex in upper case", asBase64(hex(KEY).toUpperCase()), 48, READ],
  ["hex with 0x", asBase64(`0x${hex(KEY)}`), 49, READ],
  ["the digits of hex", asText(hex(KEY)), 64, "this is hex as text: send the bytes themselves"],
  ["with 0x", asText(`0x${hex(KEY)}`), 66, "this is hex as text: send the bytes themselves"],
  [
    "base64 as text",
    asText(KEY.toString("base64")),
    44,
    "this is base64 as text: send the bytes themselves",
  ],
  ["another scheme's", new Uint8Array(52).fill(9), 52, "are they of another scheme?"],
  ["nothing", new Uint8Array(), 0, "are they of another scheme?"],
])("when all public keys are %s, both lengths and the cause are named", (_how, key, has, cause) => {
  expect(problemOf({ keys: [key, new Uint8Array(5), new Uint8Array(33)] })).toBe(
    `snapshot.keys[0].public_key: has ${has} bytes, ` +
      `and none of the 3 public keys has the 32 of lean_pq: ${cause}`,
  );
});

test.each([
  ["hex pasted as base64", asBase64(hex(SIGNATURE)), READ],
  ["hex with 0x", asBase64(`0x${hex(SIGNATURE)}`), READ],
  ["another scheme's", new Uint8Array(3112), "are they of another scheme?"],
  ["far too long", new Uint8Array(100_000), "are they of another scheme?"],
])("when all signatures of all groups are %s, too", (_how, signature, cause) => {
  expect(problemOf({ signatures: [[], [signature, signature], [signature]] })).toBe(
    `snapshot.groups[1].raw_signatures[0].signature: has ${signature.length} bytes, ` +
      `and none of the 3 signatures has the 2404 of lean_pq: ${cause}`,
  );
});

test.each([0, 1001])("when all child proofs have %d bytes, too", (length) => {
  const proofs = [new Uint8Array(length), new Uint8Array(2000)];
  expect(problemOf({ signatures: [[]], proofs })).toBe(
    `snapshot.groups[0].children[0].proof: has ${length} bytes, ` +
      "and none of the 2 child proofs has the 1 to 1000 of lean_pq",
  );
});

test("one that is right among them lets the others be judged one by one", () => {
  const wrong = new Uint8Array(7);
  expect(problemOf({ keys: [wrong, KEY] })).toBe("none");
  expect(problemOf({ signatures: [[wrong], [wrong, SIGNATURE]] })).toBe("none");
  expect(problemOf({ signatures: [[]], proofs: [new Uint8Array(), wrong] })).toBe("none");
});

test.each([0, 1001])("a peer's proof of %d bytes does not get votes refused", (length) => {
  expect(problemOf({ signatures: [[SIGNATURE]], proofs: [new Uint8Array(length)] })).toBe("none");
  expect(problemOf({ signatures: [[], [SIGNATURE]], proofs: [new Uint8Array(length)] })).toBe(
    "none",
  );
});

test("a snapshot without keys, signatures or children has none that is wrong", () => {
  expect(problemOf({ keys: [], signatures: [[]] })).toBe("none");
});

test("a root of another length names the cause, too", () => {
  expect(wrongLength(asBase64(hex(KEY)), 32)).toBe(`has 48 bytes, expected 32: ${READ}`);
  expect(wrongLength(new Uint8Array(31), 32)).toBe("has 31 bytes, expected 32");
});

test("proofs of another proof system may have any length", () => {
  const proofs = [new Uint8Array(2000)];
  const of = (proofSystem: Given["proofSystem"]) =>
    problemOf({ signatures: [[]], proofs, ...(proofSystem && { proofSystem }) });
  expect(of({ revision: "r2" })).toBe("none");
  for (const own of [undefined, {}, { scheme: "lean_pq" }, { scheme: "lean_pq", revision: "r1" }]) {
    expect(of(own)).toContain("none of the 1 child proofs has");
  }
});
