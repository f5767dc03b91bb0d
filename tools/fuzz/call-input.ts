/** Inputs of targets that make one of several calls: a byte says which, the rest is its request. */
import type { DescMessage } from "@bufbuild/protobuf";
import type { Random } from "../sim/random.js";
import { protobufMutator } from "./engine/mutate-protobuf.js";

export function callInput(method: number, request: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Uint8Array.of(method), request]));
}

/** Any byte names one of them. */
export function callOf<Call>(calls: readonly Call[], [method = 0]: Uint8Array): Call {
  const call = calls[method % calls.length];
  if (call === undefined) throw new Error("there are no calls");
  return call;
}

/** The same call, its request changed along its structure. */
export function mutateCall(
  calls: readonly { schema: DescMessage }[],
  input: Uint8Array,
  random: Random,
): Uint8Array {
  const mutate = protobufMutator(callOf(calls, input).schema);
  return callInput(input[0] ?? 0, mutate(input.subarray(1), random));
}
