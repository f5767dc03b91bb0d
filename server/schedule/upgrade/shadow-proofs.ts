/**
 * Proves a share of what the default proof system has proved again by the next revision, on a lane that is
 * idle, and counts how that ends. One at a time: a proof that is drawn beside another is not started.
 * Nobody waits for such a proof, nobody is charged for it, and it is thrown away.
 */
import type { Clock } from "../../clock.js";
import type { Assignment } from "../../lane/lane-messages.js";
import { limits } from "../../limits.js";
import { lowDiscrepancy } from "../../low-discrepancy.js";
import type { MemoryBudget, MemoryShare } from "../../memory-budget.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { ShadowResult } from "../../reasons.js";
import type { FoldWork, GroupWork, ProofResult } from "../../work/group.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { offeredRates } from "../../work/prover-description.js";
import type { NextAttempt } from "../dispatcher.js";
import type { Schedule } from "../schedule.js";

/** A lane that is not idle for this long is needed for other work. */
const WAIT_MS = 12_000;

export interface ShadowModules {
  clock: Clock;
  metrics: Metrics;
  /** Undefined before the start. */
  memory(): MemoryBudget | undefined;
}

interface Drawn {
  readonly work: FoldWork;
  readonly digest: string;
  readonly next: Schedule;
  readonly share: MemoryShare;
  /** Cancels the timer that ends it. */
  readonly cancel: () => void;
}

type State =
  | { readonly kind: "none" }
  | { readonly kind: "waiting"; readonly drawn: Drawn }
  | { readonly kind: "running"; readonly drawn: Drawn; readonly attempt: number };

export class ShadowProofs {
  private state: State = { kind: "none" };
  private seen = 0;

  /** @param share of the proofs that are proved again, from 0 to 1 */
  constructor(
    private readonly share: number,
    private readonly modules: ShadowModules,
  ) {}

  /** Notes work that the default has proved with all its inputs; the share of it is drawn. */
  proved(work: FoldWork, digest: string, next: Schedule): void {
    if (lowDiscrepancy(this.seen++) >= this.share) return;
    if (!takes(next.prover, work)) return this.count("differs");
    const share = this.state.kind === "none" ? this.reserve(work) : undefined;
    if (share === undefined) return this.count("not_started");
    const cancel = this.endAfter(WAIT_MS, "not_started");
    this.state = { kind: "waiting", drawn: { work, digest, next, share, cancel } };
    this.offered(next);
  }

  /** Called each time after the idle lanes of a schedule were given what waits there. */
  offered({ name }: Schedule): void {
    const { state } = this;
    if (state.kind !== "waiting" || state.drawn.next.name !== name) return;
    state.drawn.next.dispatcher.assignSpare(this.attemptAt(state.drawn));
  }

  /** Called when something waits in a schedule: what runs there is preempted. */
  makeWay({ name }: Schedule): void {
    const { state } = this;
    if (state.kind === "running" && state.drawn.next.name === name) this.end("stopped");
  }

  /** Ends what waits or runs. */
  close(): void {
    this.end("stopped");
  }

  private attemptAt(drawn: Drawn): NextAttempt {
    const isThis = (attempt: number) =>
      this.state.kind === "running" && this.state.attempt === attempt;
    return {
      ...assignmentOf(drawn, this.modules.clock.nowMs() + limits.fenceMsMax),
      started: (attempt) => {
        drawn.cancel();
        const cancel = this.endAfter(limits.fenceMsMax, "stopped");
        this.state = { kind: "running", attempt, drawn: { ...drawn, cancel } };
      },
      finished: (attempt, result) => {
        if (isThis(attempt)) this.forget(resultOf(result));
      },
      lost: (attempt) => {
        if (isThis(attempt)) this.forget("stopped");
      },
    };
  }

  private endAfter(ms: number, result: ShadowResult): () => void {
    const { clock } = this.modules;
    return clock.at(clock.nowMs() + ms, () => this.end(result));
  }

  private end(result: ShadowResult): void {
    const { state } = this;
    if (state.kind === "none") return;
    this.forget(result);
    if (state.kind === "running") state.drawn.next.dispatcher.kill(state.attempt, "preempted");
  }

  private forget(result: ShadowResult): void {
    if (this.state.kind === "none") return;
    const { cancel, share } = this.state.drawn;
    cancel();
    share.release();
    this.state = { kind: "none" };
    this.count(result);
  }

  private count(result: ShadowResult): void {
    this.modules.metrics.shadowProofs.inc({ result });
  }

  private reserve({ raws: { keys, signatures } }: FoldWork): MemoryShare | undefined {
    return this.modules.memory()?.reserve(keys.length + signatures.length);
  }
}

/** Whether the work is such that its proof is shadowed: a fold of raw signatures alone. */
export function isShadowed(work: GroupWork): work is FoldWork {
  return work.kind === "fold" && work.children.length === 0;
}

/** Whether keys and signatures have the sizes of the next revision, and it offers the rate. */
function takes(next: ProverDescription, { raws, logInvRate }: FoldWork): boolean {
  const count = raws.validators.length;
  return (
    raws.keys.length === count * next.publicKeyBytes &&
    raws.signatures.length === count * next.signatureBytes &&
    offeredRates(next).includes(logInvRate)
  );
}

/** All inputs, whatever the costs predict: there is time until `fenceAtMs`. */
function assignmentOf({ work, digest }: Drawn, fenceAtMs: number): Assignment {
  return {
    work,
    digest,
    deadlineAtMs: fenceAtMs,
    fenceAtMs,
    steps: [],
    isFirstOfSession: false,
    isExploration: true,
    isRetry: false,
    mayShed: false,
    minInputs: 1,
    rotation: 0,
  };
}

function resultOf(result: ProofResult): ShadowResult {
  switch (result.kind) {
    case "proved":
      return result.leftOut.length === 0 ? "verified" : "differs";
    case "failed":
      return result.isInvalidProof === true ? "invalid" : "failed";
    case "not_started":
      return "not_started";
    default:
      return "differs";
  }
}
