/** A service on virtual time: real lanes, schedules and admission, with provers of the caller's making. */
import { Admission } from "../../../server/admission/admission.js";
import { LocalLanes } from "../../../server/lane/local-lanes.js";
import { limits } from "../../../server/limits.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { SchedulesModules } from "../../../server/schedule/schedules.js";
import { Schedules } from "../../../server/schedule/schedules.js";
import { calibration } from "../../sim/calibration.js";
import type { SimProver } from "../../sim/sim-prover.js";
import type { VirtualClock } from "../../sim/virtual-clock.js";

export interface VirtualServiceOptions {
  clock: VirtualClock;
  lanes: number;
  /** @param lane its position, from 0 */
  startProver(lane: number): SimProver;
  /** That a prover may hold. Default: 3 GB. */
  residentBytesMax?: number;
  /** As `SchedulesModules.sourceOf`. */
  sourceOf?: SchedulesModules["sourceOf"];
}

export interface VirtualService {
  readonly lanes: LocalLanes;
  readonly schedules: Schedules;
  readonly admission: Admission;
}

/** Composes it; the caller then opens the lanes, and expires what is over. */
export function virtualService({
  clock,
  lanes,
  startProver,
  residentBytesMax = 3e9,
  sourceOf,
}: VirtualServiceOptions): VirtualService {
  const metrics = createMetrics();
  const devices = Array.from({ length: lanes }, (_, at) => {
    return { id: `cpu${at}`, startProver: () => startProver(at), calibration };
  });
  const options = { standbyBytesMax: Infinity, residentBytesMax, refreshShare: 0 };
  const local = new LocalLanes(devices, options, {
    clock,
    log,
    metrics,
    post: (message, receive) => queueMicrotask(() => receive(message)),
  });
  const schedules = new Schedules({}, { clock, metrics, sourceOf });
  const memory = new MemoryBudget(limits.heldBytesMax);
  const admission = new Admission(
    { instance: "00000000000000aa" },
    { clock, log, metrics, schedules, memory },
  );
  return { lanes: local, schedules, admission };
}

const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
