/** Values from the pipe, in both directions: refused as garbled, or exactly of the stated kind. */
import { deserialize, serialize } from "node:v8";
import { limits } from "../../../../server/limits.js";
import {
  GarbledMessageError,
  parseBoolean,
  parseFromChild,
  parseProof,
  parseToChild,
  parseVerdicts,
} from "../../../../server/prover/messages.js";
import type { ChildRequest } from "../../../../server/prover/messages.js";
import { mutateValue } from "../../engine/mutate-value.js";
import type { FuzzTarget } from "../../engine/target.js";
import { holds } from "../../engine/target.js";
import { fromChild, requests } from "../../prover-values.js";

const KEYS = 2;
const PROOF_BYTES_MAX = 1000;
const start = { kind: "start", backend: { library: "a", config: "b" }, nice: 5, cores: [0, 1] };
const values: unknown[] = [...fromChild, ...requests(32, 64), start];

export const target: FuzzTarget = {
  name: "prover-messages",
  bytesMax: 64 * 1024,
  msMax: 25,
  msPerKb: 2,
  seeds: () => values.map((value) => new Uint8Array(serialize(value))),
  mutate: (input, random) => {
    const value = decode(input) ?? random.pick(values);
    return new Uint8Array(serialize(mutateValue(value, random)));
  },
  open: () => ({ run }),
};

/** Undefined for bytes that are not a serialized value: the `pipe` target covers those. */
function decode(input: Uint8Array): unknown {
  try {
    return deserialize(input);
  } catch {
    return undefined;
  }
}

function run(input: Uint8Array): void {
  const value = decode(input);
  const message = accepted(() => parseFromChild(value));
  if (message?.kind === "done") checkValue(message.value);
  if (message?.kind === "failed") {
    holds(message.message.length <= limits.proverErrorLengthMax, "an error is bounded");
  }
  if (message?.kind === "ready") {
    const { publicKeyBytes, signatureBytes, scheme } = message.description;
    holds(publicKeyBytes > 0 && publicKeyBytes <= 65536, "a key has a size");
    holds(signatureBytes > 0 && signatureBytes <= 65536, "a signature has a size");
    holds(scheme.length <= 256, "names are bounded");
  }
  const request = accepted(() => parseToChild(value));
  if (request !== undefined && request.kind !== "start") {
    holds(request.id >= 1 && Number.isInteger(request.id), "a request has a number");
    for (const { root, slot } of claimsOf(request)) {
      holds(root.length === 32, "a root has 32 bytes");
      holds(slot >= 0 && slot <= 0xffff_ffff, "a slot is a u32");
    }
  }
}

function claimsOf(request: ChildRequest) {
  switch (request.kind) {
    case "verifySignatures":
      return [request.raws];
    case "verify":
      return request.proof.claims;
    case "prove": {
      const { raws, children, wanted } = request.job;
      return [...raws, ...children.flatMap(({ claims }) => claims), ...wanted];
    }
  }
}

function checkValue(value: unknown): void {
  const verdicts = accepted(() => parseVerdicts(value, KEYS));
  if (verdicts !== undefined) holds(verdicts.length === KEYS, "one verdict for each key");
  const proof = accepted(() => parseProof(value, PROOF_BYTES_MAX));
  if (proof !== undefined) {
    holds(proof.length > 0 && proof.length <= PROOF_BYTES_MAX, "a proof is within its limit");
    holds(proof.buffer.byteLength === proof.length, "a proof pins nothing else");
  }
  accepted(() => parseBoolean(value));
}

function accepted<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof GarbledMessageError)) throw error;
    holds(error.message.length < 1000, "the error of a garbled message is short");
    return undefined;
  }
}
