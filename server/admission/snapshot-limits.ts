/** Limits and sizes of a snapshot that the backend and the configuration set. */
import type { ByteLengths } from "./byte-lengths.js";

/** Scheme and revision are those of the prover. */
export interface SnapshotLimits extends ByteLengths {
  /** Groups beyond this number are accepted but not decoded; they end `not_started: limit`. */
  groupsMax: number;
  /** A snapshot with more groups is refused. */
  groupsSentMax: number;
  /**
   * A snapshot with more keys of one role, more raw signatures of one message, a key of a validator
   * from this index on, or longer bitlists is refused.
   */
  validatorsMax: number;
  /** A snapshot with more raw signatures and proofs, all groups together, is refused. */
  inputsMax: number;
  /** A snapshot whose groups that may be proved have children of more validators, all together, is refused. */
  participantsMax: number;
  /** Children of a group beyond this number are left out. */
  childrenMax: number;
  /** A merge with more components is refused; 0: merges are not offered. */
  messagesMax: number;
}
