/**
 * Verifies proofs of other hosts for doors, in a standby or an idle prover, so that no running proof
 * waits for long. A few are fetched at once, and verified in turns of the doors: a door asks another host
 * when this one is busy, and later this one again.
 */
import type { AuditTrail } from "../../audit/audit-log.js";
import type { Clock } from "../../clock.js";
import { EngineError } from "../../engine/engine.js";
import type { ReadyVerifier } from "../../lane/local-lanes.js";
import { VerifyTurns } from "../../lane/verify-turns.js";
import { limits } from "../../limits.js";
import type { ClaimedProof, KeyClaim } from "../../prover/prover.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { RequestChunk } from "../wire/blobs.js";
import { FetchError, fetchBlob } from "../wire/blobs.js";
import type { HostMetrics } from "./host-metrics.js";
import type { Asked, ToHost, Verdict } from "../wire/messages.js";

/** Time to fetch what is verified; the door asks another host before. */
const FETCH_MS = 1000;

export interface HostVerifyModules {
  readonly clock: Clock;
  readonly metrics: HostMetrics;
  /** Undefined when no audit record is kept. */
  readonly audit: AuditTrail | undefined;
  /**
   * A verifier that delays no proof, of this proof system or, without a name, of any; undefined while
   * there is none.
   */
  spareVerifier(system?: string): ReadyVerifier | undefined;
}

export class HostVerify {
  /** The doors that have a verification in progress, once for each. */
  private readonly running: string[] = [];
  private readonly turns = new VerifyTurns();

  constructor(private readonly modules: HostVerifyModules) {}

  /** Never rejects. @param request asks the door for chunks */
  async verify(
    door: string,
    question: Extract<ToHost, { kind: "verify" }>,
    request: RequestChunk,
  ): Promise<Verdict> {
    const verdict = await this.judge(door, question, request);
    const isValid = verdict.kind === "verdict" && verdict.isValid;
    const label = verdict.kind === "unable" ? "unable" : isValid ? "valid" : "invalid";
    this.modules.metrics.verified.inc({ verdict: label });
    this.modules.audit?.add("verdict", { door, verdict: label });
    return verdict;
  }

  private async judge(
    door: string,
    { system, of, keys, proof }: Extract<ToHost, { kind: "verify" }>,
    request: RequestChunk,
  ): Promise<Verdict> {
    const ready = this.modules.spareVerifier(system === "" ? undefined : system);
    if (ready === undefined)
      return unable(`no standby or idle prover is set up ${ofSystem(system)}`);
    // One place is left for other doors: without a verdict, they would take the maker's word.
    const own = this.running.filter((each) => each === door).length;
    if (this.running.length >= limits.hostVerificationsMax) {
      return busy(`${limits.hostVerificationsMax} verifications are in progress`);
    }
    if (own >= limits.hostVerificationsMax - 1) {
      return busy(`${own} verifications of door ${door} are in progress`);
    }
    const { proofBytesMax } = ready.description;
    const misfit = misfitOf(of, keys.size, ready.description);
    if (misfit !== undefined) return unable(misfit);
    if (proofBytesMax > 0 && proof.size > proofBytesMax) {
      return unable(`a proof of ${proof.size} bytes is too long for this prover`);
    }
    this.running.push(door);
    try {
      const { clock } = this.modules;
      const options = { clock, deadlineAtMs: clock.nowMs() + FETCH_MS };
      const [keyBytes, proofBytes] = await Promise.all([
        fetchBlob(keys, request, options),
        fetchBlob(proof, request, options),
      ]);
      const claims = claimsOf(of, keyBytes);
      const claimed: ClaimedProof = { kind: of.kind, bytes: proofBytes, claims };
      return { kind: "verdict", isValid: await this.turns.verify(door, ready, claimed) };
    } catch (error) {
      const isExpected = error instanceof FetchError || error instanceof EngineError;
      if (isExpected) return unable(`cannot fetch what to verify: ${error.message}`);
      return unable(`the prover cannot verify: ${error instanceof Error ? error.message : "?"}`);
    } finally {
      this.running.splice(this.running.indexOf(door), 1);
    }
  }
}

/** Why a prover of this description cannot verify it, for people; else undefined. */
function misfitOf(
  of: Asked,
  size: number,
  { publicKeyBytes, messagesMax }: ProverDescription,
): string | undefined {
  const sizes = of.kind === "fold" ? [size] : of.claims.map(({ keyBytes }) => keyBytes);
  const part = sizes.find((each) => each === 0 || each % publicKeyBytes !== 0);
  if (part !== undefined) {
    return `${part} bytes of keys are not whole keys of ${publicKeyBytes} bytes`;
  }
  const sum = sizes.reduce((total, each) => total + each, 0);
  if (sum !== size) return `there are ${size} bytes of keys, the claims have ${sum}`;
  if (of.kind === "fold" || sizes.length <= messagesMax) return undefined;
  return `the proof has ${sizes.length} messages, this prover merges ${messagesMax}`;
}

/** Each claim with its keys. */
function claimsOf(of: Asked, keys: Uint8Array): KeyClaim[] {
  if (of.kind === "fold") return [{ ...of.message, keys }];
  let from = 0;
  return of.claims.map(({ message, keyBytes }) => {
    const own = keys.subarray(from, (from += keyBytes));
    return { ...message, keys: own };
  });
}

const ofSystem = (system: string) => (system === "" ? "" : `of ${system}`).trim();
const unable = (why: string): Verdict => ({ kind: "unable", why });
const busy = (why: string): Verdict => ({ kind: "unable", why, isBusy: true });
