/**
 * Messages between doors and lane hosts: the first byte says which, the rest is the message. Refused
 * as `FleetMessageError`, or whole: what is taken comes out the same once more, and within the limits.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import {
  ChunkSchema,
  FromHostSchema,
  ToDoorSchema,
  ToHostSchema,
  VerdictSchema,
  WorkSchema,
} from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import {
  decodeChunk,
  decodeFromHost,
  decodeToDoor,
  decodeToHost,
  decodeVerdict,
  decodeWork,
  encodeChunk,
  encodeFromHost,
  encodeToDoor,
  encodeToHost,
  encodeVerdict,
  encodeWork,
  FleetMessageError,
} from "../../../server/fleet/wire/codec.js";
import type { FromHost, RemoteResult, ToDoor } from "../../../server/fleet/wire/messages.js";
import { reportFor } from "../../../server/fleet/wire/report.js";
import { resultFrom } from "../../../server/fleet/wire/result.js";
import { limits } from "../../../server/limits.js";
import { optimisticMs, pessimisticMs } from "../../../server/work/costs/cost-model.js";
import * as examples from "../../harness/wire/fleet-messages.js";
import { callInput, callOf, mutateCall } from "../call-input.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import type { SentWork } from "../../../server/work/group.js";
import { inputsOf, messagesOf } from "../../../server/work/group.js";

interface Call {
  schema: DescMessage;
  run(bytes: Uint8Array): void;
}

const { description, merge, mergeDigest, work, workDigest } = examples;

function call<Value>(
  schema: DescMessage,
  decode: (bytes: Uint8Array) => Value,
  encode: (value: Value) => Uint8Array,
  check: (value: Value) => void = () => undefined,
): Call {
  return {
    schema,
    run: (bytes) => {
      const value = accepted(() => decode(bytes));
      if (value === undefined) return;
      const encoded = encode(value);
      holds(Buffer.compare(encode(decode(encoded)), encoded) === 0, "what is taken goes round");
      for (const number of numbersOf(value)) holds(Number.isFinite(number), "numbers are finite");
      check(value);
    },
  };
}

const calls: Call[] = [
  call(FromHostSchema, decodeFromHost, encodeFromHost, checkFromHost),
  call(ToHostSchema, decodeToHost, encodeToHost),
  call(ToDoorSchema, decodeToDoor, encodeToDoor, checkToDoor),
  call(VerdictSchema, decodeVerdict, encodeVerdict),
  call(ChunkSchema, decodeChunk, encodeChunk),
  call(WorkSchema, (bytes) => decodeWork(bytes, workDigest, description), encodeWork, checkWork),
  call(WorkSchema, (bytes) => decodeWork(bytes, mergeDigest, description), encodeWork, checkWork),
];

function checkWork(sent: SentWork): void {
  holds(messagesOf(sent).length <= limits.mergeMessagesMax, "messages are bounded");
  const { raws, children } = inputsOf(sent);
  for (const { validators, keys } of [...raws, ...children]) {
    holds(keys.length === 32 * validators.length, "each validator has its key");
  }
}

const PROOF = new Uint8Array(9);

const SHAPES = [
  { raws: 1, children: 0 },
  { raws: limits.validatorsMax, children: limits.childrenMax },
  { raws: 0, children: 2 },
];

function checkFromHost(message: FromHost): void {
  if (message.kind !== "announce") return;
  const { report } = message;
  holds(report.provers.length <= 2, "a lane has two provers at most");
  holds(report.held.length <= limits.heldProofsMax, "held proofs are bounded");
  holds(report.standbyCause.length <= limits.proverErrorLengthMax, "texts are bounded");
  for (const shape of SHAPES) {
    for (const { model } of report.costs) {
      const [low, high] = [optimisticMs(model, shape), pessimisticMs(model, shape)];
      holds(low > 0 && low <= high && Number.isFinite(high), "costs predict every shape");
    }
  }
  const door = { id: "door-0", run: examples.doorRun };
  const { phase, costs } = reportFor(door, report, 1e6);
  holds(
    costs.every(({ model }) => Number.isFinite(model.atMs)),
    "costs have an instant",
  );
  holds(phase.kind !== "failed" || phase.retryAtMs >= 1e6, "a retry is still to come");
}

function checkToDoor(message: ToDoor): void {
  if (message.kind !== "ended") return;
  checkMerged(message.result);
  const { result, claims = [] } = accepted(() => resultFrom(message.result, work, PROOF)) ?? {};
  if (result?.kind !== "proved") return;
  const [{ keys } = { keys: new Uint8Array() }] = claims;
  const all = new Set([work.raws, ...work.children].flatMap(({ validators }) => validators));
  holds(result.validators.length > 0, "a proof attests somebody");
  holds(keys.length === 32 * result.validators.length, "each validator has its key");
  holds(
    result.validators.every((each) => all.has(each)),
    "a host names no validator of its own",
  );
}

function checkMerged(remote: RemoteResult): void {
  const { result, claims = [] } = accepted(() => resultFrom(remote, merge, PROOF)) ?? {};
  if (result === undefined || result.kind === "failed") return;
  const isRejected = result.kind === "rejected";
  holds(
    isRejected === result.leftOut.length > 0,
    "a merge is rejected for what is bad, else whole",
  );
  if (result.kind !== "proved") return;
  const all = merge.components.map(({ message: { root } }) => root);
  holds(
    claims.every(({ root }, at) => all[at] === root) && claims.length === all.length,
    "a merge attests its messages in their order",
  );
}

function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(numbersOf);
}

function accepted<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FleetMessageError)) throw error;
    holds(error.message.length < 300, "the error of a refused message is short");
    return undefined;
  }
}

export const target: FuzzTarget = {
  name: "fleet-messages",
  bytesMax: 64 * 1024,
  msMax: 25,
  msPerKb: 2,
  seeds: () => [
    ...examples.fromHost.map((each) => callInput(0, encodeFromHost(each))),
    ...examples.toHost.map((each) => callInput(1, encodeToHost(each))),
    ...examples.toDoor.map((each) => callInput(2, encodeToDoor(each))),
    ...examples.verdicts.map((each) => callInput(3, encodeVerdict(each))),
    callInput(4, encodeChunk(new Uint8Array(100))),
    callInput(5, encodeWork(work)),
    callInput(6, encodeWork(merge)),
  ],
  mutate: (input, random) => mutateCall(calls, input, random),
  open: () => ({ run: (input) => callOf(calls, input).run(input.subarray(1)) }),
};
