/** A shared lane over the real state machine of a lane, for tests: no time, no process. */
import { Registry } from "prom-client";
import { AttemptRecord } from "../../../server/fleet/host/attempt-record.js";
import { createHostMetrics } from "../../../server/fleet/host/host-metrics.js";
import type {
  ShareEffect,
  ShareEvent,
  ShareState,
} from "../../../server/fleet/host/lane-share-events.js";
import { freshShare, transitionShare } from "../../../server/fleet/host/lane-share.js";
import type { Peer, RemoteAssignment, RemoteResult } from "../../../server/fleet/wire/messages.js";
import type { LaneEvent, LaneState } from "../../../server/lane/lane-events.js";
import { freshLane, transitionLane } from "../../../server/lane/lane-state.js";
import type { Announcement, ReportedPhase } from "../../../server/lane/lane-messages.js";

/** A door, by its id of one letter. */
export const doorNamed = (id: "a" | "b" | "c"): Peer => ({ id, run: id.repeat(16) });

export const assignment = (digest: string, fenceAtMs: number): RemoteAssignment => ({
  digest,
  work: { sha256: digest, size: 3, inline: undefined },
  deadlineAtMs: fenceAtMs,
  fenceAtMs,
  isFirstOfSession: false,
  steps: [],
  isExploration: false,
  isRetry: false,
  mayShed: false,
  minInputs: 1,
  rotation: 0,
});

/** A result that names the work by its proof. */
export const proved = (digest: string): Extract<RemoteResult, { kind: "proved" }> => ({
  kind: "proved",
  proof: { sha256: digest, size: 3, inline: new Uint8Array(3) },
  proveMs: 1,
  leftOut: [],
});

const options = { standbyBytesMax: 0, residentBytesMax: 1e9, refreshShare: 0 };

/** A shared lane and the lane below, between which messages wait in order until `deliver`. */
export class SharedLane {
  share: ShareState = freshShare;
  lane: LaneState = freshLane;
  nowMs = 0;
  /** All effects of the share, the ones for the lane below included. */
  readonly effects: ShareEffect[] = [];
  /** Digest of the work that each attempt of the lane below has. */
  readonly digests = new Map<number, string>();
  /** Lines of the host's audit record, and what they say. */
  readonly lines: { kind: string; fields: Readonly<Record<string, unknown>> }[] = [];
  private readonly record = new AttemptRecord(
    { device: "cpu", cores: 1 },
    {
      clock: { nowMs: () => this.nowMs },
      metrics: createHostMetrics(new Registry()),
      audit: { add: (kind, fields) => void this.lines.push({ kind, fields }) },
    },
  );
  private readonly up: (() => void)[] = [];
  private readonly down: (() => void)[] = [];
  private announcements = 0;

  constructor() {
    this.laneStep({ kind: "open" });
    this.laneStep({ kind: "ready", prover: 1, residentBytes: 1 });
    this.settle();
  }

  /** Feeds the share, and returns what it did at once. */
  send(event: ShareEvent): readonly ShareEffect[] {
    const { state, effects } = transitionShare(this.share, event, this.nowMs);
    this.share = state;
    this.record.stepped(state, event, effects);
    this.effects.push(...effects);
    for (const effect of effects) this.toLane(effect);
    return effects;
  }

  /** Delivers the oldest message between share and lane in one direction, if there is one. */
  deliver(direction: "up" | "down"): void {
    this[direction].shift()?.();
  }

  /** Delivers until neither has a message for the other. */
  settle(): void {
    while (this.up.length + this.down.length > 0) {
      this.deliver("down");
      this.deliver("up");
    }
  }

  laneStep(event: LaneEvent): void {
    const { state, effects } = transitionLane(this.lane, event, this.nowMs, options);
    this.lane = state;
    for (const effect of effects) {
      if (effect.kind === "announce") this.announce();
      else if (effect.kind === "report") this.report(effect.attempt, true);
      else if (effect.kind === "report_death") this.report(effect.attempt, false);
    }
  }

  /** The end of the attempt that the lane below has; false when it has none. */
  laneEnds(how: "proof" | "death"): boolean {
    const { phase, active } = this.lane;
    if (phase.kind !== "proving" || active === null) return false;
    if (how === "proof") {
      this.laneStep({ kind: "ended", attempt: phase.attempt, residentBytes: 1 });
    } else {
      this.laneStep({ kind: "exited", prover: active.prover, why: "SIGKILL", isRefused: false });
    }
    return true;
  }

  /** The killed prover ends, or a new one is set up. */
  laneMoves(): void {
    const { phase, active } = this.lane;
    if (active === null) return;
    const { prover } = active;
    if (phase.kind === "stopping") {
      this.laneStep({ kind: "exited", prover, why: "SIGKILL", isRefused: false });
    } else if (phase.kind === "starting") {
      this.laneStep({ kind: "ready", prover, residentBytes: 1 });
    }
  }

  laneBeats(): void {
    const silent = { activeSilentMs: 0, standbySilentMs: 0 };
    this.laneStep({ kind: "beat", ...silent, residentBytes: 1, isRefreshDue: false });
  }

  private toLane(effect: ShareEffect): void {
    if (effect.kind === "assign") {
      const { digest } = effect.assignment;
      this.down.push(() => {
        if (this.lane.phase.kind !== "proving") this.digests.set(effect.attempt, digest);
        this.laneStep(effect);
      });
    } else if (effect.kind === "kill" || effect.kind === "command") {
      this.down.push(() => this.laneStep(effect));
    }
  }

  private report(attempt: number, isProof: boolean): void {
    const digest = this.digests.get(attempt) ?? "";
    const death = { kind: "failed", reason: "prover_died", detail: "", deaths: 1 } as const;
    const result = isProof ? proved(digest) : death;
    this.up.push(() => void this.send({ kind: "ended", attempt, result }));
  }

  private announce(): void {
    this.announcements++;
    const { lease, isDrained, commandsDone } = this.lane;
    const announcement: Announcement = {
      kind: "announce",
      sequence: this.announcements,
      lease,
      phase: this.phase(),
      isDrained,
      isRestartDue: false,
      isStandbyReady: false,
      isRefreshing: false,
      standbyCause: "",
      provers: [],
      description: null,
      costs: [],
      memory: [],
      commandsDone,
      adoptable: [],
    };
    this.up.push(() => void this.send({ kind: "announced", announcement }));
  }

  private phase(): ReportedPhase {
    const { phase } = this.lane;
    if (phase.kind === "starting") return { ...phase, isCalibrating: false };
    if (phase.kind === "refreshing" || phase.kind === "handing_over") {
      throw new Error("this lane never refreshes its costs");
    }
    return phase.kind === "proving" ? { ...phase, proof: null } : phase;
  }
}
