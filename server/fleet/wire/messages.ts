/**
 * The messages between doors and lane hosts as the fleet's code sees them: checked, and in the terms
 * of `lane-messages.ts`. `codec.ts` translates them from and to `lean/fleet/v1/fleet.proto`, which
 * says what each field means. No instant crosses but in `beat`, `assign` and `adopt`: the first is of
 * the host's clock, and so are the others, translated by the door. Every other time says how
 * long ago, or in how long, when the message was sent.
 */
import type {
  Assignment,
  KillCause,
  LaneProver,
  OperatorCommand,
} from "../../lane/lane-messages.js";
import type { RateCosts } from "../../work/costs/costs.js";
import type { MemoryModel } from "../../work/costs/memory-model.js";
import type { LeftOut, NotStartedReason, ProofResult, StopReason } from "../../work/group.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { Shape } from "../../work/shape.js";
import type { SignedMessage } from "../../../native/addon.js";

/** Version of these messages. A reader takes its own version and those beside it. */
export const FLEET_VERSION = 1;

/** A chunk of a blob, and what comes along with its name at most. */
export const CHUNK_BYTES = 512 * 1024;

/** Bytes by their SHA-256. */
export interface Blob {
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  readonly size: number;
  /** The bytes, when they came along. */
  readonly inline: Uint8Array | undefined;
}

/** A door or a lane host in one of its runs. */
export interface Peer {
  readonly id: string;
  /** 16 hexadecimal digits. */
  readonly run: string;
}

/** A door's attempt; numbers are the door's own in each of its runs. */
export interface Owner extends Peer {
  readonly attempt: number;
}

export type SharedPhase =
  | { readonly kind: "starting"; readonly isCalibrating: boolean }
  | { readonly kind: "idle" }
  | {
      readonly kind: "proving";
      readonly digest: string;
      readonly owners: readonly Owner[];
      readonly fenceInMs: number;
      /** Null while the inputs are fetched or verified. */
      readonly proof: { readonly ranMs: number; readonly shape: Shape } | null;
    }
  | { readonly kind: "stopping"; readonly cause: KillCause }
  | { readonly kind: "failed"; readonly cause: string; readonly retryInMs: number };

/** A proof that a host keeps until its fence. */
export interface Held {
  readonly digest: string;
  readonly fenceInMs: number;
}

/** The learned costs of one kind at one rate: the model with `atMs` 0, and how old it is. */
export interface SharedCosts extends RateCosts {
  readonly ageMs: number;
}

/** The state of one lane as its host announces it to every door; see `LaneReport`. */
export interface SharedReport {
  readonly lease: number;
  readonly phase: SharedPhase;
  readonly isDrained: boolean;
  readonly isRestartDue: boolean;
  readonly isStandbyReady: boolean;
  readonly isRefreshing: boolean;
  readonly standbyCause: string;
  readonly provers: readonly LaneProver[];
  readonly description: ProverDescription | null;
  readonly costs: readonly SharedCosts[];
  readonly memory: MemoryModel;
  readonly commandsDone: readonly { readonly door: Peer; readonly number: number }[];
  readonly held: readonly Held[];
}

/** What a host publishes. `run` is that of the host. */
export type FromHost = { readonly run: string } & (
  | { readonly kind: "beat"; readonly nowMs: number }
  | {
      readonly kind: "announce";
      readonly device: string;
      readonly sequence: number;
      readonly report: SharedReport;
    }
  | { readonly kind: "bye" }
);

/** An assignment with its work by name. Instants are of the host's clock. */
export interface RemoteAssignment extends Omit<Assignment, "work"> {
  readonly work: Blob;
}

/** What a door publishes to one host. `run` is that of the door; `hostRun` is "" in `ping`. */
export type ToHost = { readonly run: string; readonly hostRun: string } & (
  | {
      readonly kind: "assign";
      readonly device: string;
      readonly lease: number;
      readonly attempt: number;
      readonly assignment: RemoteAssignment;
    }
  | {
      readonly kind: "adopt";
      readonly device: string;
      readonly attempt: number;
      readonly digest: string;
      readonly fenceAtMs: number;
    }
  | {
      readonly kind: "kill";
      readonly device: string;
      readonly lease: number;
      readonly attempt: number;
      readonly reason: StopReason;
    }
  | {
      readonly kind: "command";
      readonly device: string;
      readonly number: number;
      readonly command: OperatorCommand;
    }
  | { readonly kind: "ping" }
  | FetchRequest
  | {
      readonly kind: "verify";
      /** Name of the proof's system; empty in messages of earlier versions. */
      readonly system: string;
      readonly of: Asked;
      /** The keys of all claims, one claim's after the other's. */
      readonly keys: Blob;
      readonly proof: Blob;
    }
);

/** What a proof that is to be verified says: of a fold all keys are of one message. */
export type Asked =
  | { readonly kind: "fold"; readonly message: SignedMessage }
  | { readonly kind: "merge"; readonly claims: readonly AskedClaim[] };

export interface AskedClaim {
  readonly message: SignedMessage;
  /** How many of the bytes of all keys are of this message, at least one. */
  readonly keyBytes: number;
}

/** Asks for the chunk at `offset`, a multiple of `CHUNK_BYTES`; empty when the blob is not there. */
export interface FetchRequest {
  readonly kind: "fetch";
  readonly sha256: string;
  readonly offset: number;
}

export type Verdict =
  | { readonly kind: "verdict"; readonly isValid: boolean }
  | {
      readonly kind: "unable";
      readonly why: string;
      /** Whether it is for others that are verified now: asked again, it may be able. Default: false. */
      readonly isBusy?: boolean;
    };

/** An input by its position in the work. */
export interface LeftOutAt extends Pick<LeftOut, "digest"> {
  readonly reason: Exclude<LeftOut["reason"], "unknown_key">;
  readonly input: { readonly kind: "raw" | "child" | "component"; readonly at: number };
}

/** `ProofResult` with inputs by position, and the proof by name. */
export type RemoteResult =
  | {
      readonly kind: "proved";
      readonly proof: Blob;
      readonly proveMs: number;
      readonly leftOut: readonly LeftOutAt[];
    }
  | { readonly kind: "nothing_to_prove" | "rejected"; readonly leftOut: readonly LeftOutAt[] }
  | {
      readonly kind: "too_few_inputs";
      readonly inputs: number;
      readonly leftOut: readonly LeftOutAt[];
    }
  | {
      readonly kind: "not_started";
      readonly reason: NotStartedReason;
      readonly leftOut: readonly LeftOutAt[];
    }
  | Extract<ProofResult, { kind: "failed" }>;

/** What a host publishes to one door. `run` is that of the host. */
export type ToDoor = { readonly run: string; readonly doorRun: string } & (
  | {
      readonly kind: "ended";
      readonly device: string;
      readonly attempt: number;
      readonly result: RemoteResult;
    }
  | FetchRequest
);
