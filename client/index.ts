/** The client's public names. */
export { TickAggregator } from "./tick-aggregator.js";
export type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./tick-options.js";
export type { SlotClock } from "./slot-clock.js";
export { AggregatorClient } from "./aggregator-client.js";
export type { AggregatorClientOptions, CallTimeout } from "./aggregator-client.js";
export type { TlsOptions } from "./tls-credentials.js";
export type { TokenSource } from "./token.js";
export { AggregatorError } from "./errors.js";
export type { AggregatorErrorKind } from "./errors.js";
export { transition } from "./adapter-state.js";
export { createAdapterState, LOST_GRACE_MS } from "./adapter-tables.js";
export type { AdapterState } from "./adapter-tables.js";
export { SKIP_REASONS } from "./adapter-events.js";
export type {
  AdapterEffect,
  AdapterEvent,
  AdapterPriority,
  AdapterResult,
  AdapterSkipReason,
  Gates,
  GroupRef,
  Submission,
} from "./adapter-events.js";
