/** The adapter's machine, usable without the rest of the client. */
export type {
  AdapterEffect,
  AdapterEvent,
  AdapterPriority,
  AdapterProofKind,
  AdapterResult,
  AdapterSkipReason,
  EventOf,
  Gates,
  GroupRef,
  LatchName,
  ServiceState,
  Submission,
} from "./events.js";
export { SKIP_REASONS } from "./events.js";
export type { MachineOptions, MachineState, MachineStep } from "./state.js";
export { createMachine, isIdle, LOST_GRACE_MS } from "./state.js";
export { transition } from "./transition.js";
