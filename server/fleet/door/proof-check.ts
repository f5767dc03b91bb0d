/**
 * Has each proof of a lane host verified by somebody else before it is delivered: by this service's own
 * devices, else by other lane hosts, of which one that dies or gives no verdict is followed by the
 * next. With nobody left, the host that made the proof has verified it.
 */
import type { Clock } from "../../clock.js";
import type { Logger } from "../../log/log.js";
import type { ReadyVerifier } from "../../lane/local-lanes.js";
import type { ClaimedProof } from "../../prover/prover.js";
import { ProverError } from "../../prover/prover.js";
import type { VerifiedBy } from "../../work/group.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { DoorMetrics } from "./door-metrics.js";
import type { HostFaults } from "./host-faults.js";
import type { Verdict } from "../wire/messages.js";

/**
 * Most hosts that give an answer about one proof, or fail to. Each has a second, so it takes three, and
 * one more where hosts are busy.
 */
const ASKED_MAX = 3;
/** A verification takes 20 to 100 ms: after so long, hosts that were busy are asked again. */
const PAUSE_MS = 100;
/** Hosts that are busy are asked for so long, or until so long before the fence. */
const BUSY_MS = 1000;
const BEFORE_FENCE_MS = 200;
/** A host that gave no answer is asked after all others for so long: each such try costs a second. */
const NO_ANSWER_MS = 60_000;
const LOG_EVERY_MS = 60_000;

const ADD_HOST =
  "add a lane host of this proof system, or set --verify same-host if all hosts are yours";

/** A lane host that may verify. */
export interface VerifyingHost {
  readonly id: string;
  readonly heardAtMs: number;
  /** The provers of this proof system that are set up and not proving. */
  free(system: string): readonly ProverDescription[];
  /** Rejects when the host gives no verdict in time, or is gone. */
  verify(system: string, proof: ClaimedProof, signal: AbortSignal): Promise<Verdict>;
}

export type Checked =
  | { readonly kind: "valid"; readonly by: VerifiedBy }
  /** `by`: who says so, for people. */
  | { readonly kind: "invalid"; readonly by: string };

/** Where a proof is from. */
export interface ProofSource {
  /** The lane host that made it; empty: a caller. */
  readonly maker: string;
  /** Name of its proof system: only provers that have it can verify it. */
  readonly system: string;
  /** When the proof is useless. Default: never. */
  readonly fenceAtMs?: number;
}

export interface ProofCheckModules {
  clock: Clock;
  log: Logger;
  metrics: Pick<DoorMetrics, "verified" | "verifySeconds">;
  faults: Pick<HostFaults, "add">;
  /** The verifier of this service's own devices with the proof system; undefined without any. */
  own(system: string): ReadyVerifier | undefined;
  hosts(): readonly VerifyingHost[];
}

export class ProofCheck {
  private unverifiedAtMs = -Infinity;
  /** When each host last gave no answer; those of long ago are forgotten. */
  private readonly noAnswerAtMs = new Map<string, number>();

  constructor(
    private readonly by: "other-host" | "same-host",
    private readonly modules: ProofCheckModules,
  ) {}

  /** The verdict on a proof of a lane host. Never rejects. */
  async check(from: ProofSource, proof: ClaimedProof, signal: AbortSignal): Promise<Checked> {
    const { clock, metrics } = this.modules;
    if (this.by === "same-host") return this.sameHost();
    const startedAtMs = clock.nowMs();
    const checked =
      (await this.checkHere(from.system, proof)) ??
      (await this.checkElsewhere(from, proof, signal));
    if (checked !== undefined) {
      metrics.verifySeconds.observe((clock.nowMs() - startedAtMs) / 1000);
      return checked;
    }
    this.logUnverified(from, signal);
    return this.sameHost();
  }

  /**
   * What verifies proofs of this system for callers: own devices first, else lane hosts; undefined
   * without either.
   */
  verifier(system: string): ReadyVerifier | undefined {
    const { own, hosts } = this.modules;
    const ready = own(system);
    if (ready !== undefined) return ready;
    const [description] = hosts().flatMap((host) => host.free(system));
    if (description === undefined) return undefined;
    const verify = async (proof: ClaimedProof) => {
      const { signal } = new AbortController();
      const from = { maker: "", system };
      for await (const { verdict } of this.verdicts(from, proof, signal)) return verdict;
      throw new ProverError("died", "no lane host gave a verdict");
    };
    return { description, verifier: { verify } };
  }

  private sameHost(): Checked {
    this.modules.metrics.verified.inc({ by: "same_host" });
    return { kind: "valid", by: "same_host" };
  }

  private async checkHere(system: string, proof: ClaimedProof): Promise<Checked | undefined> {
    try {
      const own = this.modules.own(system);
      if (own === undefined || !takes(own.description, proof)) return undefined;
      const isValid = await own.verifier.verify(proof);
      this.modules.metrics.verified.inc({ by: "own" });
      return isValid
        ? { kind: "valid", by: "other_host" }
        : { kind: "invalid", by: "this service" };
    } catch (error) {
      if (error instanceof ProverError) return undefined;
      throw error;
    }
  }

  /**
   * The verdict of other hosts; undefined when none gives one. A host that calls a proof invalid
   * may lie, so another one is asked, and of the two the one that calls it valid is believed: it
   * agrees with the maker.
   */
  private async checkElsewhere(
    from: ProofSource,
    proof: ClaimedProof,
    signal: AbortSignal,
  ): Promise<Checked | undefined> {
    const { clock, faults, metrics } = this.modules;
    const against: string[] = [];
    for await (const { host, verdict } of this.verdicts(from, proof, signal)) {
      if (verdict) {
        metrics.verified.inc({ by: "other_host" });
        const detail = `it called a proof of ${from.maker} invalid, which ${host} calls valid`;
        for (const liar of against) faults.add(liar, "false_verdict", detail, clock.nowMs());
        return { kind: "valid", by: "other_host" };
      }
      against.push(host);
      if (against.length === 2) break;
    }
    return against.length === 0 ? undefined : { kind: "invalid", by: against.join(" and ") };
  }

  /**
   * The verdicts of hosts other than the maker, one after the other. Each is asked once, and those that are
   * busy again for a second.
   */
  private async *verdicts(
    { maker, system, fenceAtMs = Infinity }: ProofSource,
    proof: ClaimedProof,
    signal: AbortSignal,
  ): AsyncGenerator<{ host: string; verdict: boolean }> {
    const { clock, hosts } = this.modules;
    const asked = new Set([maker]);
    const busy = new Set<string>();
    let busyInARow = 0;
    let waitUntilMs = fenceAtMs - BEFORE_FENCE_MS;
    for (let answers = 0; answers < ASKED_MAX && !signal.aborted;) {
      const fit = hosts()
        .filter(({ id }) => !asked.has(id) && !busy.has(id))
        .filter((each) => each.free(system).some((prover) => takes(prover, proof)));
      const host = busyInARow < ASKED_MAX ? this.nextOf(fit) : undefined;
      if (host === undefined) {
        if (busy.size === 0 || clock.nowMs() >= waitUntilMs) return;
        await this.pause(signal);
        busyInARow = 0;
        if (fit.length === 0) busy.clear();
        continue;
      }
      const verdict = await host.verify(system, proof, signal).catch(() => undefined);
      const nowMs = clock.nowMs();
      if (verdict?.kind === "unable" && verdict.isBusy === true) {
        busy.add(host.id);
        busyInARow++;
        waitUntilMs = Math.min(waitUntilMs, nowMs + BUSY_MS);
        continue;
      }
      asked.add(host.id);
      answers++;
      if (verdict === undefined && !signal.aborted) this.noAnswerAtMs.set(host.id, nowMs);
      if (verdict?.kind === "verdict") yield { host: host.id, verdict: verdict.isValid };
    }
  }

  /** Resolves after a moment, or when the signal aborts. */
  private pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.modules;
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = clock.at(clock.nowMs() + PAUSE_MS, end);
      signal.addEventListener("abort", end);
    });
  }

  /** Whom to ask next: the one heard last of those that answer, else of those that did not. */
  private nextOf(hosts: readonly VerifyingHost[]): VerifyingHost | undefined {
    const nowMs = this.modules.clock.nowMs();
    for (const [id, atMs] of this.noAnswerAtMs) {
      if (nowMs - atMs >= NO_ANSWER_MS) this.noAnswerAtMs.delete(id);
    }
    return latest(hosts.filter(({ id }) => !this.noAnswerAtMs.has(id))) ?? latest(hosts);
  }

  private logUnverified({ maker, system }: ProofSource, { aborted }: AbortSignal): void {
    const { clock, log } = this.modules;
    const nowMs = clock.nowMs();
    if (aborted || nowMs - this.unverifiedAtMs < LOG_EVERY_MS) return;
    this.unverifiedAtMs = nowMs;
    log.warn(
      { host: maker, proofSystem: system, todo: ADD_HOST },
      "no other host could verify a proof; its maker's word is taken",
    );
  }
}

/** Whether such a prover verifies the proof: one that cannot merge knows no merge. */
function takes({ messagesMax }: { messagesMax: number }, { kind, claims }: ClaimedProof): boolean {
  return kind === "fold" || claims.length <= messagesMax;
}

/** The host that was heard last. */
function latest(hosts: readonly VerifyingHost[]): VerifyingHost | undefined {
  const [first, ...rest] = hosts;
  if (first === undefined) return undefined;
  return rest.reduce((best, each) => (each.heardAtMs > best.heardAtMs ? each : best), first);
}
