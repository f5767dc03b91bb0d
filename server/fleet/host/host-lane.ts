/**
 * One lane of a lane host: feeds `lane-share.ts` with what the lane and the doors say and with its
 * timer, and carries out the effects. Fetches and keeps the work of one attempt at most. Owned by
 * `LaneHost`.
 */
import type { AuditTrail } from "../../audit/audit-log.js";
import type { Clock } from "../../clock.js";
import { assertNever } from "../../errors.js";
import type { FromLane, LaneLink } from "../../lane/lane-messages.js";
import type { Logger } from "../../log/log.js";
import type { GroupWork } from "../../work/group.js";
import type { RequestChunk } from "../wire/blobs.js";
import { blobOf, FetchError, fetchBlob } from "../wire/blobs.js";
import { decodeWork, FleetMessageError } from "../wire/codec.js";
import { AttemptRecord } from "./attempt-record.js";
import type { HostMetrics } from "./host-metrics.js";
import { freshShare, nextTickMs, transitionShare } from "./lane-share.js";
import type { ShareEffect, ShareEvent, ShareState } from "./lane-share-events.js";
import type { Owner, RemoteResult, SharedReport } from "../wire/messages.js";
import { remoteResult } from "../wire/result.js";
import { FetchQuota } from "../wire/fetch-quota.js";
import { CHUNK_BYTES } from "../wire/messages.js";

export interface HostLaneModules {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: HostMetrics;
  /** Undefined when no audit record is kept. */
  readonly audit: AuditTrail | undefined;
  /** Tells all doors. */
  announce(device: string, sequence: number, report: SharedReport): void;
  /** Tells one door how its attempt ended. */
  tell(owner: Owner, device: string, result: RemoteResult): void;
  /** Asks a door for chunks of its work. */
  chunksOf(owner: Owner): RequestChunk;
  /** Notes what a door did that no correct door does. */
  fault(door: string, detail: string): void;
}

type FetchEffect = Extract<ShareEffect, { kind: "fetch" }>;

export class HostLane {
  private share: ShareState = freshShare;
  /** What each door that was sent a proof may still fetch of it. */
  private readonly quotas = new WeakMap<RemoteResult, Map<string, FetchQuota>>();
  /** The work of the attempt that has the lane; undefined while it is fetched, and without one. */
  private work: { readonly attempt: number; readonly work: GroupWork } | undefined;
  /** Ends the fetch of the attempt's work. */
  private fetching: AbortController | undefined;
  private cancelTick = () => {};
  private isClosed = false;
  private readonly record: AttemptRecord;

  constructor(
    private readonly link: LaneLink,
    private readonly modules: HostLaneModules,
  ) {
    const { deviceId: device, cores = 1 } = link;
    this.record = new AttemptRecord({ device, cores }, modules);
  }

  /** The newest announcement of the lane itself; null before the first. */
  get heard() {
    return this.share.heard;
  }

  /** Whether an attempt has the lane. */
  get isTaken(): boolean {
    return this.share.attempt !== null;
  }

  /** Takes a message of the lane. */
  hearLane(message: FromLane): void {
    if (message.kind === "announce") {
      return this.step({ kind: "announced", announcement: message });
    }
    const { attempt, result } = message;
    // Nobody waits for a result whose work was forgotten.
    if (this.work?.attempt !== attempt) return;
    const remote = remoteResult(result, this.work.work, blobOf);
    this.step({ kind: "ended", attempt, result: remote });
  }

  /** Takes what a door wants of the lane. */
  step(event: ShareEvent): void {
    if (this.isClosed) return;
    const { clock } = this.modules;
    const { state, effects } = transitionShare(this.share, event, clock.nowMs());
    this.share = state;
    this.record.stepped(state, event, effects);
    for (const effect of effects) this.apply(effect);
    this.setTick();
  }

  /**
   * The chunk of a proof that is held. Empty: no such proof is held, the door was not sent its name, or the
   * door has fetched it too often.
   */
  chunk(door: string, sha256: string, offset: number): Uint8Array {
    const none = new Uint8Array(0);
    for (const { result } of this.share.held) {
      const { proof } = result;
      if (proof.sha256 !== sha256) continue;
      const wanted = proof.inline?.subarray(offset, offset + CHUNK_BYTES) ?? none;
      const chunk = this.quotas.get(result)?.get(door)?.take(wanted) ?? none;
      if (chunk.length > 0) return chunk;
    }
    return none;
  }

  /** Ends the timer and the fetch. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.record.close();
    this.cancelTick();
    this.fetching?.abort();
  }

  private setTick(): void {
    this.cancelTick();
    const { clock } = this.modules;
    const atMs = nextTickMs(this.share);
    this.cancelTick =
      atMs === Infinity ? () => {} : clock.at(atMs, () => this.step({ kind: "tick" }));
  }

  private apply(effect: ShareEffect): void {
    const { log, metrics, announce, tell } = this.modules;
    const device = this.link.deviceId;
    switch (effect.kind) {
      case "fetch":
        return void this.fetch(effect);
      case "forget_work":
        this.fetching?.abort();
        if (this.work?.attempt === effect.attempt) this.work = undefined;
        return;
      case "assign": {
        const { lease, attempt, assignment } = effect;
        const work = this.work?.attempt === attempt ? this.work.work : undefined;
        if (work === undefined) return;
        return this.link.send({
          kind: "assign",
          lease,
          attempt,
          assignment: { ...assignment, work },
        });
      }
      case "kill":
      case "command":
        return this.link.send(effect);
      case "end": {
        const { owner, result } = effect;
        const { id: door, attempt } = owner;
        if (result.kind === "proved") this.mayFetch(door, result);
        metrics.ended.inc({ result: result.kind });
        log.info({ device, door, attempt, result: result.kind }, "attempt ended");
        return tell(owner, device, result);
      }
      case "announce":
        return announce(device, effect.sequence, effect.report);
      case "ignored":
        return metrics.ignored.inc({ cause: effect.cause });
      default:
        return assertNever(effect);
    }
  }

  private mayFetch(door: string, result: Extract<RemoteResult, { kind: "proved" }>): void {
    const quotas = this.quotas.get(result) ?? new Map<string, FetchQuota>();
    if (!quotas.has(door)) quotas.set(door, new FetchQuota(result.proof.size));
    this.quotas.set(result, quotas);
  }

  private async fetch({ attempt, from, assignment }: FetchEffect): Promise<void> {
    const { clock, log, metrics, chunksOf, fault } = this.modules;
    const device = this.link.deviceId;
    const { id: door, attempt: own } = from;
    metrics.assigned.inc();
    log.info({ device, door, attempt: own, bytes: assignment.work.size }, "attempt assigned");
    this.fetching?.abort();
    const fetching = new AbortController();
    this.fetching = fetching;
    try {
      const description = this.share.heard?.description;
      const bytes = await fetchBlob(assignment.work, chunksOf(from), {
        clock,
        deadlineAtMs: assignment.fenceAtMs,
        signal: fetching.signal,
      });
      if (fetching.signal.aborted || description === undefined || description === null) return;
      metrics.fetchedBytes.inc(bytes.length);
      const work = { ...decodeWork(bytes, assignment.digest, description), leftOut: [] };
      this.work = { attempt, work };
      this.step({ kind: "fetched", attempt });
    } catch (error) {
      const isMessage = error instanceof FleetMessageError;
      if (!isMessage && !(error instanceof FetchError)) throw error;
      if (isMessage || error.kind === "wrong") fault(door, error.message);
      else log.info({ device, door, attempt: own, cause: error.message }, "work was not fetched");
      metrics.fetchFailures.inc({ cause: isMessage ? "garbage" : error.kind });
      this.step({ kind: "fetch_failed", attempt });
    }
  }
}
