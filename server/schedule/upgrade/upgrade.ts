/**
 * The upgrade of the default proof system to its next revision: which snapshots get that, what is proved
 * by it before, and when it is the default no more. See docs/adr/0024-proof-systems-side-by-side.md.
 */
import { cut } from "../../errors.js";
import type { Logger } from "../../log/log.js";
import type { UpgradeStateName } from "../../reasons.js";
import { upgradeStates } from "../../reasons.js";
import type { ProofResult } from "../../work/group.js";
import { inputDigest } from "../../work/input-digest.js";
import { proofSystemOf } from "../../work/prover-description.js";
import type { AttemptSource, NextAttempt } from "../dispatcher.js";
import type { Schedule } from "../schedule.js";
import { isShadowed, ShadowProofs } from "./shadow-proofs.js";
import type { ShadowModules } from "./shadow-proofs.js";

/** One death may be a coincidence, two the fault of one input, which is then set aside. */
const DEATHS_MAX = 3;

export interface UpgradeOptions {
  /** The next revision of the default's scheme. */
  readonly revision: string;
  /** The first slot whose snapshots get it. */
  readonly slot: bigint;
  /** Share of the proofs before that slot which are made again by it, from 0 to 1. */
  readonly shadow: number;
}

export interface UpgradeModules extends ShadowModules {
  log: Logger | undefined;
  /** The schedule of the default proof system, as it is without the upgrade. */
  default(): Schedule | undefined;
  /** The schedule of the proof system of this name. */
  schedule(name: string): Schedule | undefined;
}

type State =
  /** No snapshot has got the next revision yet. */
  | { readonly kind: "waiting" }
  /** `deaths`: of its provers, since its last proof. */
  | { readonly kind: "switched"; readonly deaths: number }
  /** The old revision is the default again, until the process ends. `why`: for people. */
  | { readonly kind: "returned"; readonly why: string };

/** How far the upgrade is, for callers and people. */
export interface UpgradeView extends Pick<UpgradeOptions, "revision" | "slot"> {
  /** Empty before a default is chosen. */
  readonly scheme: string;
  readonly state: UpgradeStateName;
  /** Why the default has returned; empty while it has not. */
  readonly why: string;
}

export class Upgrade {
  private state: State = { kind: "waiting" };
  private isMissingLogged = false;
  private readonly shadows: ShadowProofs;

  constructor(
    private readonly options: UpgradeOptions,
    private readonly modules: UpgradeModules,
  ) {
    this.shadows = new ShadowProofs(options.shadow, modules);
    this.enter(this.state);
  }

  /**
   * The schedule of a snapshot of this slot that names no revision: the next revision's from its slot on,
   * while a prover of it is up and the default has not returned.
   *
   * @param base the schedule of the default proof system, which it gets otherwise
   */
  scheduleOf(base: Schedule, slot: bigint): Schedule {
    const { revision, slot: fromSlot } = this.options;
    if (this.state.kind === "returned" || slot < fromSlot) return base;
    if (base.prover.revision === revision) return base;
    const next = this.next();
    if (next?.dispatcher.isUp !== true) {
      this.logMissing(base, slot);
      return base;
    }
    if (this.state.kind === "waiting") {
      this.enter({ kind: "switched", deaths: 0 });
      const fields = { from: base.name, to: next.name, slot: String(slot) };
      this.modules.log?.info(fields, "the next revision is the default now");
    }
    return next;
  }

  /** The source of a schedule's attempts, whose ends are judged; `source` decides all else. */
  watch(schedule: Schedule, source: AttemptSource): AttemptSource {
    const { shadows } = this;
    return {
      get hasWaiting() {
        return source.hasWaiting;
      },
      adopt: (offered) => this.watched(schedule, source.adopt(offered), true),
      next: (...lane) => this.watched(schedule, source.next(...lane), false),
      offered: () => {
        if (source.hasWaiting) shadows.makeWay(schedule);
        source.offered();
        shadows.offered(schedule);
      },
    };
  }

  get view(): UpgradeView {
    const { revision, slot } = this.options;
    const scheme = this.modules.default()?.prover.scheme ?? "";
    const why = this.state.kind === "returned" ? this.state.why : "";
    return { scheme, revision, slot, state: this.state.kind, why };
  }

  /** Whether snapshots have got the next revision, and a prover of it is up. */
  get isUp(): boolean {
    return this.state.kind === "switched" && this.next()?.dispatcher.isUp === true;
  }

  close(): void {
    this.shadows.close();
  }

  private watched(
    schedule: Schedule,
    attempt: NextAttempt | undefined,
    isAdopted: boolean,
  ): NextAttempt | undefined {
    if (attempt === undefined) return undefined;
    return {
      ...attempt,
      finished: (number, result) => {
        attempt.finished(number, result);
        const next = this.next();
        if (next?.name === schedule.name) this.judge(result);
        else if (next !== undefined && !isAdopted) this.shadow(schedule, attempt, result, next);
      },
    };
  }

  private shadow(
    { name }: Schedule,
    { work }: NextAttempt,
    result: ProofResult,
    next: Schedule,
  ): void {
    if (this.state.kind === "returned" || name !== this.modules.default()?.name) return;
    if (result.kind !== "proved" || result.leftOut.length > 0 || !isShadowed(work)) return;
    if (BigInt(work.message.slot) >= this.options.slot) return;
    this.shadows.proved(work, inputDigest(work, next.prover), next);
  }

  /** What an attempt at the next revision shows of it, once it is the default. */
  private judge(result: ProofResult): void {
    if (this.state.kind !== "switched") return;
    if (result.kind === "proved") this.enter({ kind: "switched", deaths: 0 });
    if (result.kind !== "failed" || result.isLaneGone === true) return;
    if (result.isInvalidProof === true) {
      return this.return(`a proof does not verify: ${result.detail}`);
    }
    const deaths = this.state.deaths + result.deaths;
    if (deaths < DEATHS_MAX) return this.enter({ kind: "switched", deaths });
    this.return(`provers died ${deaths} times without a proof between: ${result.detail}`);
  }

  private return(cause: string): void {
    const why = cut(cause);
    this.enter({ kind: "returned", why });
    const { revision } = this.options;
    const todo = "find the fault, and set the upgrade anew, or take it out of the settings";
    const text = "the old revision is the default again, until this process ends";
    this.modules.log?.error({ revision, cause: why, todo }, text);
  }

  private enter(state: State): void {
    this.state = state;
    for (const each of upgradeStates) {
      this.modules.metrics.upgrade.set({ state: each }, each === state.kind ? 1 : 0);
    }
  }

  /** The schedule of the next revision; undefined while no lane has it. */
  private next(): Schedule | undefined {
    const scheme = this.modules.default()?.prover.scheme;
    if (scheme === undefined) return undefined;
    return this.modules.schedule(proofSystemOf({ scheme, revision: this.options.revision }));
  }

  private logMissing({ name }: Schedule, slot: bigint): void {
    if (this.isMissingLogged) return;
    this.isMissingLogged = true;
    const { revision } = this.options;
    const fields = { revision, slot: String(slot), instead: name };
    this.modules.log?.warn(
      fields,
      "no prover of the next revision is up; the old one stays the default",
    );
  }
}
