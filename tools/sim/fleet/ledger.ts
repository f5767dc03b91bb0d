/**
 * What is true of a simulated fleet: which work the doors have accepted until when, by true time, and
 * which proofs run. Checks each proof against it.
 */
import { HOST_FENCE_MS } from "../../../server/fleet/door/remote-lane.js";
import { calibrationRoot } from "../calibration.js";
import type { SimProver } from "../sim-prover.js";
import type { SimProcess } from "./sim-process.js";

/** A proof may run on for so long after its fence, in milliseconds: its door may have gone. */
const OVERRUN_MS = HOST_FENCE_MS + 5;

/** A door has accepted work, with these budgets by true time. */
export interface Ask {
  door: string;
  requestId: string;
  deadlineAtMs: number;
  fenceAtMs: number;
}

/** Work that doors have accepted, by its name: see `workName`. */
interface Work {
  readonly asked: Ask[];
  /** By door: whether its last attempt may start after the deadline. */
  readonly mayStartLate: Map<string, boolean>;
}

/** A prover that proves for a process, and since when. */
interface Running {
  prover: SimProver;
  process: SimProcess;
  name: string;
  /** The text of the proof that it makes. */
  proof: string;
}

export class Ledger {
  private readonly works = new Map<string, Work>();
  private readonly provers = new Map<SimProver, SimProcess>();
  private readonly reported = new Set<string>();
  /** What each prover last began. */
  private readonly begun = new Map<SimProver, string>();
  /** Work for which a door waited when it died: hosts keep its proofs until their fence. */
  private readonly orphans = new Set<string>();
  /** Provers that prove for nobody, since when. */
  private readonly unwanted = new Map<SimProver, number>();
  proofs = 0;

  /** @param broken called with each promise that is broken */
  constructor(private readonly broken: (what: string) => void) {}

  asked(name: string, ask: Ask): void {
    this.workOf(name).asked.push(ask);
  }

  attempted(name: string, door: string, mayStartLate: boolean): void {
    this.workOf(name).mayStartLate.set(door, mayStartLate);
  }

  proverStarted(prover: SimProver, process: SimProcess): void {
    this.provers.set(prover, process);
    const alive = this.on(prover.device).filter(({ isAlive }) => isAlive);
    if (alive.length > 2) this.broken(`${alive.length} provers live on ${prover.device}`);
  }

  proverEnded(prover: SimProver): void {
    this.provers.delete(prover);
    this.begun.delete(prover);
    this.unwanted.delete(prover);
  }

  /** A door has died that waited for this work. */
  orphaned(name: string): void {
    this.orphans.add(name);
  }

  proofStarted(
    prover: SimProver,
    name: string,
    { proof, nowMs }: { proof: string; nowMs: number },
  ): void {
    this.begun.set(prover, proof);
    const others = this.on(prover.device).filter((each) => each !== prover && each.isProving);
    if (others.length > 0) this.broken(`two provers prove on ${prover.device}`);
    if (name === calibrationRoot) return;
    this.proofs++;
    const work = this.works.get(name);
    if (work === undefined || work.asked.length === 0)
      return this.broken(`${prover.device} proves what nobody has submitted`);
    const late = nowMs - Math.max(...work.asked.map(({ deadlineAtMs }) => deadlineAtMs));
    const mayStartLate = [...work.mayStartLate.values()].some((may) => may);
    if (late >= 0 && !mayStartLate)
      this.broken(`a proof on ${prover.device} started ${late.toFixed(1)} ms after its deadline`);
    const past = nowMs - this.fenceOf(name);
    if (past >= 0)
      this.broken(`a proof on ${prover.device} started ${past.toFixed(1)} ms after its fence`);
  }

  /** To be called whenever all has settled. @param resumedAtMs when the process last went on */
  check(nowMs: number, resumedAtMs: (process: SimProcess) => number): void {
    for (const { prover, process, name } of this.running()) {
      if (name === calibrationRoot || !process.isRunning) continue;
      const endByMs = Math.max(this.fenceOf(name), resumedAtMs(process)) + OVERRUN_MS;
      const key = `${prover.device} ${name}`;
      if (nowMs <= endByMs || this.reported.has(key)) continue;
      this.reported.add(key);
      this.broken(`a proof on ${prover.device} runs on after its fence`);
    }
  }

  /**
   * To be called whenever all has settled: a proof is killed when the last that waited has gone.
   * @param isWanted whether a group that has not ended waits at a door for this work
   * @param withinMs how long the kill may take
   */
  checkWanted(nowMs: number, isWanted: (name: string) => boolean, withinMs: number): void {
    for (const { prover, process, name } of this.running()) {
      const mayRun = name === calibrationRoot || this.orphans.has(name) || isWanted(name);
      if (mayRun || !process.isRunning) {
        this.unwanted.delete(prover);
        continue;
      }
      const sinceMs = this.unwanted.get(prover) ?? nowMs;
      this.unwanted.set(prover, sinceMs);
      const key = `${prover.device} ${name} unwanted`;
      if (nowMs <= sinceMs + withinMs || this.reported.has(key)) continue;
      this.reported.add(key);
      this.broken(`a proof on ${prover.device} runs on, and nobody waits for it`);
    }
  }

  /** The proofs that run now, even when nobody waits for them. */
  running(): Running[] {
    return [...this.provers].flatMap(([prover, process]) => {
      const { isServing, isProving, name } = prover;
      if (!isServing || !isProving) return [];
      return [{ prover, process, name, proof: this.begun.get(prover) ?? "" }];
    });
  }

  /** Provers of the process that live. */
  proversOf(process: SimProcess): SimProver[] {
    return [...this.provers].flatMap(([prover, of]) =>
      of === process && prover.isAlive ? [prover] : [],
    );
  }

  get livingProvers(): number {
    return [...this.provers.keys()].filter(({ isAlive }) => isAlive).length;
  }

  /** What doors have asked for on this message. */
  asksOf(name: string): readonly Ask[] {
    return this.works.get(name)?.asked ?? [];
  }

  requestsOf(name: string): string {
    const ids = this.asksOf(name).map(({ requestId }) => requestId);
    return [...new Set(ids)].join();
  }

  /** The latest fence of all that have asked for this work. */
  private fenceOf(name: string): number {
    const { asked } = this.workOf(name);
    return Math.max(...asked.map(({ fenceAtMs }) => fenceAtMs));
  }

  private on(device: string): SimProver[] {
    return [...this.provers.keys()].filter((each) => each.device === device);
  }

  private workOf(name: string): Work {
    const known = this.works.get(name) ?? { asked: [], mayStartLate: new Map() };
    this.works.set(name, known);
    return known;
  }
}
