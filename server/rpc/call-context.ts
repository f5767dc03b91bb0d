/** What every handler knows of its call, and what the handlers are made of. */
import type { Node } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../access/access.js";
import type { Credential } from "../access/policy.js";
import type { Admission } from "../admission/admission.js";
import type { Clock } from "../clock.js";
import { invalid } from "../errors.js";
import { limits } from "../limits.js";
import type { ReadyVerifier } from "../lane/local-lanes.js";
import type { Peer } from "../net/peer.js";
import type { Dispatcher } from "../schedule/dispatcher.js";

/** What the server knows of a call. */
export interface CallContext {
  /** Monotonic instant at which the headers arrived. */
  receivedAtMs: number;
  /** Time that the call's own deadline left at receipt; undefined when the call has none. */
  callDeadlineMs: number | undefined;
  /** The other end of the connection. */
  peer: Peer;
  credential: Credential;
  /** Name of the caller's principal, for the log; empty where calls need none. */
  principal: string;
  /** Aborts when the caller is gone, and when the call's own deadline has passed. */
  signal: AbortSignal;
  /**
   * Reserves memory for an answer of about so many bytes, until the caller has read it. Call it at
   * most once, before the answer is returned. Throws a `Refusal` when no memory is free.
   */
  holdAnswer(bytes: number): void;
  /** Aborts when the server drains: what is logged is still delivered, nothing is waited for. */
  draining: AbortSignal;
}

export interface HandlersModules {
  aggregator: Admission;
  dispatcher: Dispatcher;
  /** Verifies proofs for `VerifyAggregate`; undefined while no prover is set up. */
  verifier(): ReadyVerifier | undefined;
  clock: Clock;
  access: Access;
}

export interface HandlersOptions {
  /** Identifies this run of the service. */
  instance: string;
  version: string;
  /** Deadline of a snapshot whose request and call give none. */
  deadlineMs: number;
  /** Fence of a snapshot whose request gives none. */
  fenceMs: number;
}

/** The id of the request's node. Throws a `Refusal` when it is missing or malformed. */
export function nodeIdOf(node: Node | undefined): string {
  if (node === undefined) throw invalid("node", "is missing");
  const { idLengthMax } = limits;
  if (node.nodeId.length > idLengthMax || !/^[A-Za-z0-9._-]+$/.test(node.nodeId)) {
    throw invalid("node.node_id", `must be 1 to ${idLengthMax} characters of A-Z a-z 0-9 . _ -`);
  }
  return node.nodeId;
}
