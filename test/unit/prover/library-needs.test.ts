/** What the service needs of a library, each need with the value that it names. */
import { expect, test } from "vitest";
import type { BackendDescription } from "../../../native/addon.js";
import { messagesMaxOf, unmetNeed } from "../../../server/prover/library-needs.js";

const noLimits = {
  ...{ rawsMax: 0, rawsBesideMax: 0, childrenMax: 0 },
  ...{ arities: 0, claimsMax: 0, keysMax: 0 },
};
const usable: BackendDescription = {
  backend: "b",
  scheme: "s",
  revision: "r",
  kinds: 1,
  can: 256 + 32,
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 524_288,
  rates: 0,
  rateDefault: 0,
  setupMs: 0,
  fold: noLimits,
  merge: noLimits,
  idleBytes: 0,
  peakBytes: 0,
};
const raws = (rawsMax: number) => ({ fold: { ...noLimits, rawsMax } });
const fault = (changes: Partial<BackendDescription>) =>
  unmetNeed("/lib/x.so", { ...usable, ...changes });

test("a library with enough of everything can be used", () => {
  const four = { fold: { ...noLimits, childrenMax: 4, arities: 0b10100 } };
  for (const changes of [{}, raws(64), four, { rates: 1 }, { kinds: 7 }]) {
    expect(fault(changes)).toBeUndefined();
  }
});

test("a merge of it has no more messages than it takes children or claims", () => {
  const merging = { ...usable, kinds: 3, can: 256 + 32 + 8 };
  const messages = (merge: object) =>
    messagesMaxOf({ ...merging, merge: { ...noLimits, ...merge } });
  expect([messages({}), messages({ claimsMax: 9 }), messages({ childrenMax: 4 })]).toEqual([
    16, 9, 4,
  ]);
});

test("each need that is not met is one sentence with library, value and need", () => {
  expect(fault({ fold: { ...noLimits, childrenMax: 1 } })).toBe(
    "library /lib/x.so has fold.children_max 1; " +
      "the service folds two proofs into one: it needs at least 2, or 0 for no limit",
  );
  expect(fault({ fold: { ...noLimits, arities: 0b11000 } })).toBe(
    "library /lib/x.so has fold.arities 0x18 without 2 children; " +
      "the service needs bit 2, or 0 for any number",
  );
  expect(fault({ fold: { ...noLimits, keysMax: 4095 } })).toBe(
    "library /lib/x.so has fold.keys_max 4095; the service needs at least 4096, or 0 for no limit",
  );
  for (const [limit, name, least] of [
    ["keysMax", "keys_max", 16 * 4096],
    ["rawsMax", "raws_max", 4096],
    ["rawsBesideMax", "raws_beside_max", 4096],
  ] as const) {
    const merge = { ...noLimits, [limit]: 100 };
    const text = `the service needs at least ${least}, or 0 for no limit`;
    expect(fault({ merge })).toBeUndefined();
    expect(fault({ kinds: 3, can: 256 + 32 + 8, merge })).toBe(
      `library /lib/x.so has merge.${name} 100; ${text}`,
    );
    const enough = { ...merge, [limit]: least };
    expect(fault({ kinds: 3, can: 256 + 32 + 8, merge: enough })).toBeUndefined();
  }
  const four = { ...noLimits, arities: 0b10000 };
  expect(fault({ merge: four })).toBeUndefined();
  expect(fault({ kinds: 3, can: 256 + 32 + 8, merge: four })).toBe(
    "library /lib/x.so has merge.arities 0x10; the service needs 0 for any number",
  );
  expect(fault({ rates: 0x80000002 })).toBe(
    "library /lib/x.so has rates 0x80000002 without its default; " +
      "the service needs bit 0, or 0 for a single rate",
  );
  expect(fault({ can: 255 })).toMatch(
    /^library \/lib\/x\.so cannot verify beside a proof \(can 255/,
  );
  expect(fault({ can: 256 + 31 })).toBe(
    "library /lib/x.so cannot take a key in several inputs (can 287); " +
      "the service needs SAME_KEY_TWICE (32)",
  );
  expect(fault({ proofBytesMax: 524_289 })).toBe(
    "library /lib/x.so has proof_bytes_max 524289; " +
      "the service takes proofs of at most 524288 bytes, the chain's limit",
  );
  expect(fault({ signatureBytes: 70_000 })).toBe(
    "library /lib/x.so has signature_bytes 70000; the service takes at most 65536",
  );
  expect(fault({ scheme: "" })).toMatch(/has the scheme ""; the service needs printable ASCII$/);
  expect(fault({ revision: "a\nb" })).toMatch(/has the revision "a\\nb"; /);
  expect(fault({ backend: "x".repeat(257) })).toMatch(/has a backend of 257 characters; .* 256$/);
  expect(fault({ kinds: 6 })).toMatch(/^library \/lib\/x\.so has kinds 6;/);
});
