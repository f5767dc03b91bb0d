/**
 * Takes the result of an attempt at a lane host: fetches the proof, derives from the work which
 * validators it attests, and has it verified. Whatever the host does becomes a result.
 */
import type { Clock } from "../../clock.js";
import type { Logger } from "../../log/log.js";
import type { ProofResult } from "../../work/group.js";
import { FetchError, fetchBlob } from "../wire/blobs.js";
import { FleetMessageError } from "../wire/codec.js";
import type { HostFault } from "./door-metrics.js";
import type { GivenAttempt, Taking } from "./given-attempt.js";
import type { FetchRequest, RemoteResult } from "../wire/messages.js";
import type { ProofCheck } from "./proof-check.js";
import { resultFrom } from "../wire/result.js";

export interface TakeResultModules {
  clock: Clock;
  log: Logger;
  check: Pick<ProofCheck, "check">;
  /** The id of the host, and the door's name of its device. */
  host: string;
  deviceId: string;
  /** Asks the host; rejects with `EngineError`. */
  request(fetch: FetchRequest, timeoutMs: number): Promise<Uint8Array>;
  fault(fault: HostFault, detail: string): void;
}

/** Never rejects. */
export async function takeResult(
  remote: RemoteResult,
  attempt: GivenAttempt,
  taking: Taking,
  modules: TakeResultModules,
): Promise<ProofResult> {
  const { deviceId, fault, log } = modules;
  try {
    return await verifiedResult(remote, attempt, taking, modules);
  } catch (error) {
    if (error instanceof FleetMessageError) {
      fault("garbage", error.message);
      return failed(
        "prover_error",
        `device ${deviceId} sent no result of the work: ${error.message}`,
      );
    }
    if (error instanceof FetchError) {
      if (error.kind === "wrong") fault("garbage", error.message);
      const reason = error.kind === "wrong" ? "prover_error" : "prover_died";
      return failed(reason, `the proof of device ${deviceId} cannot be fetched: ${error.message}`);
    }
    const cause = error instanceof Error ? error.message : String(error);
    log.error({ device: deviceId, cause }, "the result of a lane host cannot be taken");
    return failed("prover_error", `the result of device ${deviceId} cannot be taken: ${cause}`);
  }
}

async function verifiedResult(
  remote: RemoteResult,
  { work, fenceAtMs, system }: GivenAttempt,
  { signal, arrived }: Taking,
  { clock, check, host, deviceId, request, fault }: TakeResultModules,
): Promise<ProofResult> {
  const proof =
    remote.kind === "proved"
      ? await fetchBlob(remote.proof, request, { clock, deadlineAtMs: fenceAtMs, signal })
      : new Uint8Array(0);
  arrived();
  const { result, claims } = resultFrom(remote, work, proof);
  // One host must not have an input set aside, which takes two deaths.
  if (result.kind === "failed") {
    const { detail, deaths } = result;
    return { ...result, detail: `device ${deviceId}: ${detail}`, deaths: Math.min(1, deaths) };
  }
  if (result.kind !== "proved") return result;
  const claimed = { kind: work.kind, bytes: proof, claims };
  const checked = await check.check({ maker: host, system, fenceAtMs }, claimed, signal);
  if (checked.kind === "valid") return { ...result, verifiedBy: checked.by };
  const detail = `the proof of device ${deviceId} is invalid, says ${checked.by}`;
  fault("invalid_proof", detail);
  return { ...failed("prover_error", detail), isInvalidProof: true };
}

function failed(
  reason: "prover_died" | "prover_error",
  detail: string,
): Extract<ProofResult, { kind: "failed" }> {
  const deaths = reason === "prover_died" ? 1 : 0;
  return { kind: "failed", reason, detail, deaths };
}
