/** What a lane host announces of a shared lane: its state, in times that any clock can read. Pure. */
import type { Announcement } from "../../lane/lane-messages.js";
import { limits } from "../../limits.js";
import type { ShareState } from "./lane-share-events.js";
import type { SharedPhase, SharedReport } from "../wire/messages.js";

/**
 * The lease that doors know: the lane's own, and those that were used up before the lane had an
 * attempt.
 */
export function leaseOf({ heard, burnt }: ShareState): number {
  return heard === null ? 0 : heard.lease + burnt;
}

export function sharedReport(state: ShareState, heard: Announcement, nowMs: number): SharedReport {
  const { isRestartDue, isStandbyReady, standbyCause, provers, description, costs } = heard;
  return {
    lease: leaseOf(state),
    phase: sharedPhase(state, heard, nowMs),
    isDrained: heard.isDrained || state.isClosing,
    isRestartDue,
    isStandbyReady,
    isRefreshing: heard.isRefreshing,
    memory: heard.memory,
    standbyCause,
    provers,
    description,
    costs: costs.map(({ kind, logInvRate, model }) => ({
      ...{ kind, logInvRate },
      model: { ...model, atMs: 0 },
      // What was learned longer ago is as uncertain as it gets.
      ageMs: Math.min(Math.max(0, nowMs - model.atMs), limits.fleetDurationMsMax),
    })),
    commandsDone: state.doors.flatMap(({ id, run, commandsDone: number }) =>
      number === 0 ? [] : [{ door: { id, run }, number }],
    ),
    held: state.held.map(({ digest, fenceAtMs }) => ({ digest, fenceInMs: fenceAtMs - nowMs })),
  };
}

function sharedPhase({ attempt }: ShareState, { phase }: Announcement, nowMs: number): SharedPhase {
  if (attempt === null) {
    if (phase.kind === "failed") {
      const { cause, retryAtMs } = phase;
      return { kind: "failed", cause, retryInMs: Math.max(0, retryAtMs - nowMs) };
    }
    // The share is the lane's one scheduler: what it proves has no owner any more.
    return phase.kind === "proving" ? { kind: "stopping", cause: "cancelled" } : phase;
  }
  const { number, stage, owners, assignment } = attempt;
  if (stage.kind === "leaving") return { kind: "stopping", cause: stage.reason };
  const proof = phase.kind === "proving" && phase.attempt === number ? phase.proof : null;
  return {
    kind: "proving",
    digest: assignment.digest,
    owners: owners.map(({ id, run, attempt: own }) => ({ id, run, attempt: own })),
    fenceInMs: Math.max(0, Math.max(nowMs, ...owners.map(({ fenceAtMs }) => fenceAtMs)) - nowMs),
    proof: proof && { ranMs: Math.max(0, nowMs - proof.startedAtMs), shape: proof.shape },
  };
}
