/** The steps of a transcript, as `test/vectors/schema/transcript.json` has them. */
import type { AdapterPriority, AdapterSkipReason } from "../../../client/index.js";
import type {
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Code = "ABORTED" | "FAILED_PRECONDITION" | "INVALID_ARGUMENT" | "UNAVAILABLE";
type State = "ready" | "no_prover" | "draining";
type Bounds = [number, number];

type ServiceStep =
  | { do: "start"; endpoint: string; serviceId: string; run: string }
  | { do: "stop" | "silence"; endpoint: string }
  | { do: "opened"; endpoint: string; known: string[]; state?: State }
  | { do: "accept"; endpoint: string; request: string; fenceMs?: number }
  | { do: "skip"; endpoint: string; request: string; reason: Lowercase<keyof typeof SkipReason> }
  | { do: "fail"; endpoint: string; request: string; code: Code; message?: string }
  | {
      do: "outcome";
      endpoint: string;
      request: string;
      group: number;
      status: keyof typeof OutcomeStatus;
      reason?: keyof typeof OutcomeReason;
      participants?: string;
      proofBytes?: number;
      isErased?: boolean;
    }
  | { do: "summary"; endpoint: string; request: string }
  | { do: "status"; endpoint: string; state: State }
  | { do: "sending"; endpoint: string; bytes: number }
  | { do: "end"; endpoint: string; code: Code; message?: string };

type NodeStep =
  | {
      do: "submit";
      request: string;
      slot: number;
      groups: number;
      deadlineMs: number;
      fenceMs: number;
      priority?: AdapterPriority;
      holdMs?: number;
      mayReplace?: boolean;
      skipped?: AdapterSkipReason;
    }
  | { do: "cancel"; request: string; groups: number[] }
  | { do: "close"; drainMs: number };

/** Adds `afterMs` to each of a union's members. */
type Timed<Step> = Step extends object ? Step & { afterMs?: number } : never;
export type Action = Timed<ServiceStep | NodeStep>;

export interface SeenResult {
  kind: string;
  request: string;
  group: number;
  endpoint: string | null;
}

export type Sight =
  | { see: "stream"; endpoint: string; awaited: { request: string; receivedGroups: number[] }[] }
  | { see: "submission"; endpoint: string; request: string; deadlineMs: Bounds; fenceMs: Bounds }
  | { see: "both"; endpoint: string; request: string }
  | { see: "cancel"; endpoint: string; request: string; groups: number[] }
  | { see: "broken"; endpoint: string }
  | { see: "results"; slot: number; results: SeenResult[] }
  | { see: "skip"; request: string; reason: AdapterSkipReason }
  | { see: "error"; code: string }
  | { see: "closed" }
  | { see: "metrics"; values: Record<string, number> };

export type Step =
  Action | (Sight & { withinMs?: number; notBeforeMs?: number }) | { see: "quiet"; forMs: number };

export interface Transcript {
  name: string;
  endpoints: string[];
  steps: Step[];
}
