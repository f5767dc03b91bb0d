/** What a prover process sends is checked before it counts. */
import { describe, expect, it } from "vitest";
import {
  GarbledMessageError,
  parseBoolean,
  parseFromChild,
  parseProof,
  parseToChild,
  parseVerdicts,
} from "../../../server/prover/messages.js";

const description = {
  backend: "lean_pq",
  scheme: "leanxmss",
  revision: "r1",
  publicKeyBytes: 32,
  signatureBytes: 2404,
  proofBytesMax: 1000,
  childrenMax: 16,
  messagesMax: 8,
  rates: 0,
};
const residentBytes = 1;
const message = { root: new Uint8Array(32), slot: 7 };
const request = {
  kind: "verifySignatures",
  id: 1,
  raws: { ...message, keys: new Uint8Array(32), signatures: new Uint8Array(2404) },
};

describe("messages from the prover process", () => {
  it.each([
    { kind: "ready", description, setupMs: 0, residentBytes },
    { kind: "startFailed", why: "no", isFinal: true },
    { kind: "heartbeat", residentBytes: 5, peakBytes: 6 },
    { kind: "done", id: 1, value: true },
    { kind: "failed", id: 1, failure: "refused", message: "no" },
  ])("a well-formed $kind is taken as it is", (raw) => {
    expect(parseFromChild(raw)).toEqual(raw);
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["a string", "ready"],
    ["an unknown kind", { kind: "hello" }],
    ["a ready without a description", { kind: "ready" }],
    [
      "keys of no size",
      {
        kind: "ready",
        description: { ...description, publicKeyBytes: 0 },
        setupMs: 0,
        residentBytes,
      },
    ],
    [
      "a huge key",
      {
        kind: "ready",
        description: { ...description, publicKeyBytes: 2 ** 31 },
        setupMs: 0,
        residentBytes,
      },
    ],
    [
      "a name of two lines",
      { kind: "ready", description: { ...description, scheme: "a\nb" }, setupMs: 0, residentBytes },
    ],
    [
      "a long name",
      {
        kind: "ready",
        description: { ...description, scheme: "x".repeat(999) },
        setupMs: 0,
        residentBytes,
      },
    ],
    [
      "a description with more in it",
      { kind: "ready", description: { ...description, fake: true }, setupMs: 0, residentBytes },
    ],
    ["negative memory", { kind: "heartbeat", residentBytes: -1, peakBytes: 1 }],
    ["memory that is no number", { kind: "heartbeat", residentBytes: Number.NaN, peakBytes: 1 }],
    ["a reply without a number", { kind: "done", value: true }],
    ["a fractional number", { kind: "done", id: 1.5, value: true }],
    ["an unknown failure", { kind: "failed", id: 1, failure: "died", message: "x" }],
    ["an endless error", { kind: "failed", id: 1, failure: "internal", message: "x".repeat(1e6) }],
  ])("%s is refused", (_, raw) => {
    expect(() => parseFromChild(raw)).toThrow(GarbledMessageError);
  });
});

it("control characters of an error are blanks by the time anyone reads it", () => {
  const error = { kind: "failed", id: 1, failure: "internal" };
  const parsed = parseFromChild({ ...error, message: "\u001b[2Jno\r\n\u202ex" });
  expect(parsed).toMatchObject({ message: " [2Jno x" });
});

describe("values of replies", () => {
  it("verdicts are as many as the keys", () => {
    expect(parseVerdicts(["ok", "wrong_leaf", "bad_signature"], 3)).toHaveLength(3);
    expect(() => parseVerdicts(["ok"], 2)).toThrow(GarbledMessageError);
    expect(() => parseVerdicts(["ok", "ok", "ok"], 2)).toThrow(GarbledMessageError);
  });

  it.each<[string, unknown]>([
    ["an unknown verdict", ["fine"]],
    ["a status", [0]],
    ["bytes", new Uint8Array(1)],
    ["a hole", new Array(1)],
    ["something with a length", { length: 1, 0: "ok" }],
  ])("%s is no verdict", (_, value) => {
    expect(() => parseVerdicts(value, 1)).toThrow(GarbledMessageError);
  });

  it("only true and false answer a verification", () => {
    expect(parseBoolean(false)).toBe(false);
    expect(() => parseBoolean(1)).toThrow(GarbledMessageError);
    expect(() => parseBoolean(undefined)).toThrow(GarbledMessageError);
  });

  it("a proof is copied off the buffer that it came in", () => {
    const pool = new Uint8Array(100);
    const proof = parseProof(pool.subarray(10, 20), 10);
    expect(proof).toHaveLength(10);
    expect(proof.buffer.byteLength).toBe(10);
  });

  it.each<[string, unknown]>([
    ["an empty proof", new Uint8Array(0)],
    ["one beyond the description's size", new Uint8Array(11)],
    ["an array", [1, 2]],
    ["a string", "proof"],
  ])("%s is refused", (_, value) => {
    expect(() => parseProof(value, 10)).toThrow(GarbledMessageError);
  });
});

describe("messages to the prover process", () => {
  it("a well-formed request is taken as it is", () => {
    expect(parseToChild(request)).toEqual(request);
  });

  it.each<[string, unknown]>([
    ["a short root", { ...request, message: { ...message, root: new Uint8Array(31) } }],
    ["a slot beyond u32", { ...request, message: { ...message, slot: 2 ** 32 } }],
    ["an unknown operation", { ...request, kind: "merge" }],
    ["a request without keys", { ...request, keys: undefined }],
    ["a start without a lock", { kind: "start" }],
  ])("%s is refused", (_, raw) => {
    expect(() => parseToChild(raw)).toThrow(GarbledMessageError);
  });
});
