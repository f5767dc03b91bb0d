/** The public names of the client. */
export { TickAggregator } from "./adapter/tick-aggregator.js";
export type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./adapter/options.js";
export type { SlotClock } from "./adapter/slot-clock.js";
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
export { transitionAdapter } from "./adapter/rules.js";
export { createAdapterState, LOST_GRACE_MS } from "./adapter/state.js";
export type { AdapterState, AdapterStep } from "./adapter/state.js";
export { SKIP_REASONS } from "./adapter/events.js";
export type {
  AdapterEffect,
  AdapterEvent,
  AdapterPriority,
  AdapterResult,
  AdapterSkipReason,
  Gates,
  GroupRef,
  Submission,
} from "./adapter/events.js";
export {
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
  hasBit,
  indicesToBits,
} from "../proto/bitlist.js";
export type { SszBitlist } from "../proto/bitlist.js";
