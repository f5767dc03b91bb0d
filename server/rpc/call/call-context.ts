/** What each handler gets with a call, and what the handlers are constructed from. */
import type { Node } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../../access/access.js";
import type { Credential } from "../../access/policy.js";
import type { ActivityLog } from "../../activity.js";
import type { Admission } from "../../admission/admission.js";
import type { Clock } from "../../clock.js";
import { invalid, quoted } from "../../errors.js";
import { ID_EXPECTED, idPattern } from "../../id.js";
import type { ReadyVerifier } from "../../lane/local-lanes.js";
import type { Peer } from "../../net/peer.js";
import type { Recorder } from "../../recording/recorder.js";
import type { Schedules } from "../../schedule/schedules.js";
import type { ServiceStatus } from "../service-status.js";

/** What the server knows of a call besides its request. */
export interface CallContext {
  /** When the headers arrived, on the monotonic clock. */
  receivedAtMs: number;
  /** Milliseconds that the call's own deadline left at receipt; undefined: the call has none. */
  callDeadlineMs: number | undefined;
  /** The client at the other end of the connection. */
  peer: Peer;
  credential: Credential;
  /** The caller's trace context, as a valid W3C `traceparent`. Default: it sent none. */
  traceparent?: string | undefined;
  /** Name of the caller's principal, for the log; empty for the health check, open to all. */
  principal: string;
  /** The request in binary, as received; undefined for one in JSON, and until it is read. */
  received?: Uint8Array | undefined;
  /** Aborts when the caller has left, or the call's own deadline has passed. */
  signal: AbortSignal;
  /**
   * Reserves memory for an answer of about `bytes`, until the caller has read it. To be called at
   * most once, before the answer is returned. Throws a `Refusal` when no memory is free.
   */
  holdAnswer(bytes: number): void;
  /** Aborts when the server drains: the call then delivers what there is, and waits no longer. */
  draining: AbortSignal;
}

export interface HandlersModules {
  admission: Admission;
  status: ServiceStatus;
  schedules: Schedules;
  /**
   * What verifies proofs of the proof system of this name for `VerifyAggregate`; undefined when
   * nothing can.
   */
  verifier(system: string): ReadyVerifier | undefined;
  clock: Clock;
  access: Access;
  /** Undefined when nobody may look on. */
  activity?: ActivityLog | undefined;
  /** Undefined when nothing is recorded. */
  recorder?: Pick<Recorder, "submitted"> | undefined;
}

export interface HandlersOptions {
  /** Identifies this run of the service: 16 hexadecimal digits. */
  instance: string;
  /** Names the service, over all its runs. */
  serviceId: string;
  version: string;
  /** Deadline of a snapshot when neither its request nor its call has one. */
  deadlineMs: number;
  /** Fence of a snapshot whose request has none. */
  fenceMs: number;
}

/** The id of the request's node. Throws a `Refusal` when it is missing or malformed. */
export function nodeIdOf(node: Node | undefined): string {
  if (node === undefined) throw invalid("node", "is missing");
  checkId("node.node_id", node.nodeId);
  return node.nodeId;
}

/** Throws a `Refusal` unless `id`, the value of this field, can be a node id or a request id. */
export function checkId(field: string, id: string): void {
  if (!idPattern.test(id)) throw invalid(field, `is ${quoted(id)}, expected ${ID_EXPECTED}`);
}
