/** The public names of the client. */
export { TickAggregator } from "./adapter/tick-aggregator.js";
export type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./adapter/options.js";
export type {
  Body,
  BodyCandidate,
  BodyComponent,
  BodyOffer,
  BodyOptions,
} from "./adapter/body-candidate.js";
export type { ComponentInit, MergeGates, MergeInit, MergeOptions } from "./adapter/merge.js";
export type { OpenGroup, SubmittedData } from "./adapter/open-groups.js";
export type { SubmitSpan, SubmitTracer } from "./adapter/submit-spans.js";
export type { SlotClock, StepInit } from "./adapter/slot-clock.js";
export { slotTimesOf } from "./adapter/slot-clock.js";
export {
  fenceAtMs,
  intervalAtMs,
  mayStart,
  nextBoundaryAtMs,
  slotAt,
  stepsOf,
} from "./adapter/slot-times.js";
export type { Duty, SlotTimes, StepAt } from "./adapter/slot-times.js";
export { AggregatorClient } from "./rpc/aggregator-client.js";
export type { AggregatorClientOptions } from "./rpc/aggregator-client.js";
export type { CallTimeout } from "./rpc/unary-call.js";
export type { TlsOptions } from "./rpc/tls-credentials.js";
export type { TokenSource } from "./rpc/token.js";
export { AggregatorError } from "./errors.js";
export type { AggregatorErrorKind } from "./errors.js";
export { createMachine, isIdle, LOST_GRACE_MS, SKIP_REASONS, transition } from "./machine/index.js";
export type {
  AdapterEffect,
  AdapterEvent,
  AdapterPriority,
  AdapterResult,
  AdapterSkipReason,
  Gates,
  GroupRef,
  MachineOptions,
  MachineState,
  MachineStep,
  Submission,
} from "./machine/index.js";
export {
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
  hasBit,
  indicesToBits,
} from "../proto/bitlist.js";
export type { SszBitlist } from "../proto/bitlist.js";
