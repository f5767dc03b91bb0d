/**
 * Translates the state of a lane, which its host announces to every door, into the report that one door's
 * dispatcher knows, with instants of the door's clock. Pure.
 */
import type { Adoptable, LaneReport, ReportedPhase } from "../../lane/lane-messages.js";
import { assertNever } from "../../errors.js";
import type { Peer, SharedPhase, SharedReport } from "./messages.js";

/**
 * The report for one door's dispatcher. What runs and what is held is adoptable, the door's own too: an
 * adopted attempt lasts while it is listed.
 *
 * @param nowMs when the message was received, by the door's clock
 */
export function reportFor(door: Peer, shared: SharedReport, nowMs: number): LaneReport {
  const { phase, costs, commandsDone, held, ...rest } = shared;
  const running = phase.kind === "proving" ? [{ ...phase, isRunning: true }] : [];
  const all = [...running, ...held.map((each) => ({ ...each, isRunning: false }))];
  return {
    ...rest,
    phase: phaseFor(door, phase, nowMs),
    costs: costs.map(({ kind, logInvRate, model, ageMs }) => {
      return { kind, logInvRate, model: { ...model, atMs: nowMs - ageMs } };
    }),
    commandsDone: commandsDone.find((done) => isPeer(done.door, door))?.number ?? 0,
    adoptable: all.map(({ digest, fenceInMs, isRunning }): Adoptable => {
      return { digest, fenceAtMs: nowMs + fenceInMs, isRunning };
    }),
  };
}

function phaseFor(door: Peer, phase: SharedPhase, nowMs: number): ReportedPhase {
  switch (phase.kind) {
    case "starting":
    case "idle":
    case "stopping":
      return phase;
    case "proving": {
      const { owners, proof } = phase;
      const attempt = owners.find((owner) => isPeer(owner, door))?.attempt ?? null;
      const running = proof && { startedAtMs: nowMs - proof.ranMs, shape: proof.shape };
      return { kind: "proving", attempt, proof: running };
    }
    case "failed":
      return { kind: "failed", cause: phase.cause, retryAtMs: nowMs + phase.retryInMs };
    default:
      return assertNever(phase);
  }
}

const isPeer = (a: Peer, b: Peer) => a.id === b.id && a.run === b.run;
