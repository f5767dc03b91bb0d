/** State, events and effects of a shared lane; `lane-share.ts` has its transitions. */
import type { Announcement, OperatorCommand } from "../../lane/lane-messages.js";
import type { StopReason } from "../../work/group.js";
import type {
  Owner,
  Peer,
  RemoteAssignment,
  RemoteResult,
  SharedReport,
} from "../wire/messages.js";

/** An owner, and the instant at which it leaves by itself. */
export interface OwnerUntil extends Owner {
  readonly fenceAtMs: number;
}

/** The attempt that has the lane. */
export interface SharedAttempt {
  /** Its number at the lane below, whose one scheduler the share is. */
  readonly number: number;
  /** The lease of the lane below under which it is given. */
  readonly laneLease: number;
  readonly assignment: RemoteAssignment;
  /** The doors that wait for it, the one that assigned it first while that is there. */
  readonly owners: readonly OwnerUntil[];
  readonly stage:
    /** The work is fetched, until this instant. */
    | { readonly kind: "fetching"; readonly untilMs: number }
    /** The lane below has it. */
    | { readonly kind: "given" }
    /** The lane below is to kill it: nobody waits for it. */
    | { readonly kind: "leaving"; readonly reason: StopReason }
    /** Its result was sent; the lane below has not announced its next lease yet. */
    | { readonly kind: "ended" };
}

/** A proof that is kept for doors that adopt it. */
export interface HeldProof {
  readonly digest: string;
  readonly fenceAtMs: number;
  readonly result: Extract<RemoteResult, { kind: "proved" }>;
  /** The doors that adopted it, and when each was answered last. */
  readonly answered: readonly { readonly door: string; readonly atMs: number }[];
}

/** What the lane remembers of a door in one of its runs. */
export interface DoorRecord extends Peer {
  /** Number of the door's last command that was carried out; 0: none was. */
  readonly commandsDone: number;
  /** Number of the door's last attempt that has left the lane; 0: none has. */
  readonly left: number;
}

/** A command that the lane below has not confirmed. */
export interface PendingCommand {
  readonly number: number;
  readonly command: OperatorCommand;
  /** Who sent it, and under which number; null: the host itself. */
  readonly from: { readonly door: Peer; readonly number: number } | null;
}

export interface ShareState {
  /** The newest announcement of the lane below; null before the first. */
  readonly heard: Announcement | null;
  /** Leases that were used up before the lane below had an attempt; see `leaseOf`. */
  readonly burnt: number;
  /** Number of the last announcement to doors. */
  readonly sequence: number;
  readonly attempt: SharedAttempt | null;
  /** Number of the last attempt. */
  readonly lastAttempt: number;
  readonly held: readonly HeldProof[];
  /** The doors heard, the last one first. */
  readonly doors: readonly DoorRecord[];
  /** In the order in which they came; the first one has been sent to the lane below. */
  readonly pending: readonly PendingCommand[];
  /** Number of the last command for the lane below. */
  readonly lastCommand: number;
  /** True once the host ends: the lane takes no attempt and no command any more. */
  readonly isClosing: boolean;
}

export type ShareEvent =
  /** The lane below announces itself. */
  | { readonly kind: "announced"; readonly announcement: Announcement }
  /** The lane below has the result of the attempt. */
  | { readonly kind: "ended"; readonly attempt: number; readonly result: RemoteResult }
  | {
      readonly kind: "assign";
      readonly door: Peer;
      readonly lease: number;
      readonly attempt: number;
      readonly assignment: RemoteAssignment;
    }
  | {
      readonly kind: "adopt";
      readonly door: Peer;
      readonly attempt: number;
      readonly digest: string;
      readonly fenceAtMs: number;
    }
  | {
      readonly kind: "kill";
      readonly door: Peer;
      readonly lease: number;
      readonly attempt: number;
      readonly reason: StopReason;
    }
  | {
      readonly kind: "command";
      readonly door: Peer;
      readonly number: number;
      readonly command: OperatorCommand;
    }
  /** The attempt's work is here, and is what its name says. */
  | { readonly kind: "fetched"; readonly attempt: number }
  /** The attempt's work cannot be had, or is not what its name says. */
  | { readonly kind: "fetch_failed"; readonly attempt: number }
  /** The instant of `nextAtMs` has come. */
  | { readonly kind: "tick" }
  /** The host ends: the lane stays drained. */
  | { readonly kind: "close" };

/**
 * Why a message of a door has no effect. `stale`: it is of an earlier lease. `taken`: another
 * attempt has the lane. `repeated`: it came before. `unknown`: it names nothing that is here.
 * `full`: the lane remembers no more of them.
 */
export type IgnoreCause = "stale" | "taken" | "repeated" | "unknown" | "full";

export type ShareEffect =
  /** Get the work of the attempt from the door; answer with `fetched` or `fetch_failed`. */
  | {
      readonly kind: "fetch";
      readonly attempt: number;
      readonly from: Owner;
      readonly assignment: RemoteAssignment;
    }
  /** Forget the attempt's work, and fetch no more of it. */
  | { readonly kind: "forget_work"; readonly attempt: number }
  /** Assign to the lane below, with the work that was fetched. */
  | {
      readonly kind: "assign";
      readonly lease: number;
      readonly attempt: number;
      readonly assignment: RemoteAssignment;
    }
  | {
      readonly kind: "kill";
      readonly lease: number;
      readonly attempt: number;
      readonly reason: StopReason;
    }
  | { readonly kind: "command"; readonly number: number; readonly command: OperatorCommand }
  /** Send the door how its attempt ended. */
  | { readonly kind: "end"; readonly owner: Owner; readonly result: RemoteResult }
  /** Publish to all doors. */
  | { readonly kind: "announce"; readonly sequence: number; readonly report: SharedReport }
  | { readonly kind: "ignored"; readonly cause: IgnoreCause };
