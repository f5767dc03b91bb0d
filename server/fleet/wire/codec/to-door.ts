/** What a lane host sends a door, or asks of it: how an attempt ended, and bytes that the door named. */
import { limits } from "../../../limits.js";
import type { LeftOutAt, RemoteResult, ToDoor } from "../messages.js";
import { CHUNK_BYTES, FLEET_VERSION } from "../messages.js";
import { field, list, mapped, message, only, optional } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import { bool, bytes, device, duration, oneFrom, run, text, u32 } from "./scalars.js";
import { fetchRequest, ordinal, proofBlob, said, versionKind } from "./shared.js";

const reasons = ["bad_signature", "wrong_leaf", "bad_child", "covered", "shed"] as const;
/** The reasons for which each kind of input may be left out. */
const reasonsOf: Readonly<Record<LeftOutAt["input"]["kind"], readonly LeftOutAt["reason"][]>> = {
  raw: ["bad_signature", "wrong_leaf", "covered", "shed"],
  child: ["bad_child", "shed"],
  component: ["bad_signature", "wrong_leaf", "bad_child"],
};

const leftOut = mapped(
  message({
    reason: field(1, oneFrom<LeftOutAt["reason"]>(reasons)),
    raw: optional(2, u32(0, limits.validatorsMax - 1)),
    child: optional(3, u32(0, limits.childrenMax - 1)),
    component: optional(5, u32(0, limits.mergeMessagesMax - 1)),
    digest: field(4, bytes(32, 32)),
  }),
  ({ reason, raw, child, component, digest }): LeftOutAt => {
    const input = only<LeftOutAt["input"]>([
      raw === undefined ? undefined : { kind: "raw", at: raw },
      child === undefined ? undefined : { kind: "child", at: child },
      component === undefined ? undefined : { kind: "component", at: component },
    ]);
    if (!reasonsOf[input.kind].includes(reason)) garbled(`a ${input.kind} is not ${reason}`);
    return { reason, input, digest };
  },
  ({ reason, input, digest }) => ({
    reason,
    raw: input.kind === "raw" ? input.at : undefined,
    child: input.kind === "child" ? input.at : undefined,
    component: input.kind === "component" ? input.at : undefined,
    digest,
  }),
);

const proved = message({ proof: field(1, proofBlob), proveMs: field(2, duration) });
const nothing = message({});
const tooFewInputs = message({ inputs: field(1, u32(0, limits.inputsMax)) });
const notStarted = message({ isPredictedMiss: field(1, bool), isMemory: field(2, bool) });
const failed = message({
  isDeath: field(1, bool),
  detail: field(2, text),
  deaths: field(3, u32(0, limits.deathsMax)),
  isInvalidProof: field(4, bool),
});

function notStartedReason({ isPredictedMiss, isMemory }: Record<string, boolean>) {
  if (isPredictedMiss === true && isMemory === true) garbled("has two reasons");
  if (isMemory === true) return "memory";
  return isPredictedMiss === true ? "predicted_miss" : "deadline";
}

const INPUTS_MAX = limits.validatorsMax + limits.childrenMax;

const result = mapped(
  message({
    proved: optional(1, proved),
    nothingToProve: optional(2, nothing),
    rejected: optional(3, nothing),
    tooFewInputs: optional(4, tooFewInputs),
    notStarted: optional(5, notStarted),
    failed: optional(6, failed),
    leftOut: list(7, leftOut, INPUTS_MAX),
  }),
  ({ leftOut: inputs, ...wire }): RemoteResult => {
    if (new Set(inputs.map(({ input }) => `${input.kind} ${input.at}`)).size < inputs.length) {
      garbled("leaves an input out twice");
    }
    return only<RemoteResult>([
      wire.proved && { kind: "proved", ...wire.proved, leftOut: inputs },
      wire.nothingToProve && { kind: "nothing_to_prove", leftOut: inputs },
      wire.rejected && { kind: "rejected", leftOut: inputs },
      wire.tooFewInputs && { kind: "too_few_inputs", ...wire.tooFewInputs, leftOut: inputs },
      wire.notStarted && {
        kind: "not_started",
        reason: notStartedReason(wire.notStarted),
        leftOut: inputs,
      },
      wire.failed && {
        kind: "failed",
        reason: wire.failed.isDeath ? "prover_died" : "prover_error",
        detail: wire.failed.detail,
        deaths: wire.failed.deaths,
        ...(wire.failed.isInvalidProof && { isInvalidProof: true }),
      },
    ]);
  },
  (value) => ({
    proved: value.kind === "proved" ? value : undefined,
    nothingToProve: value.kind === "nothing_to_prove" ? {} : undefined,
    rejected: value.kind === "rejected" ? {} : undefined,
    tooFewInputs: value.kind === "too_few_inputs" ? value : undefined,
    notStarted:
      value.kind === "not_started"
        ? {
            isPredictedMiss: value.reason === "predicted_miss",
            isMemory: value.reason === "memory",
          }
        : undefined,
    failed:
      value.kind === "failed"
        ? {
            isDeath: value.reason === "prover_died",
            detail: value.detail,
            deaths: Math.min(value.deaths, limits.deathsMax),
            isInvalidProof: value.isInvalidProof === true,
          }
        : undefined,
    leftOut: value.kind === "failed" ? [] : value.leftOut,
  }),
);

const ended = message({
  device: field(1, device),
  attempt: field(2, ordinal),
  result: field(3, result),
});

export const toDoor = mapped(
  message({
    version: field(1, versionKind),
    run: field(2, run),
    doorRun: field(3, run),
    ended: optional(4, ended),
    fetch: optional(5, fetchRequest),
  }),
  ({ run: hostRun, doorRun, ...wire }): ToDoor => ({
    run: hostRun,
    doorRun,
    ...said(wire.version, [wire.ended && { kind: "ended" as const, ...wire.ended }, wire.fetch]),
  }),
  (value) => ({
    version: FLEET_VERSION,
    run: value.run,
    doorRun: value.doorRun,
    ended: value.kind === "ended" ? value : undefined,
    fetch: value.kind === "fetch" ? value : undefined,
  }),
);

/** The answer to a fetch: no bytes when the blob is not there. */
export const chunk = message({ bytes: field(1, bytes(0, CHUNK_BYTES)) });
