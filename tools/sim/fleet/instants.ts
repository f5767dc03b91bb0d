/**
 * Compares the instants that a door means with those that a host gets, by true time. A translated
 * instant is never late, but for fences by `HOST_FENCE_MS`. It is early by under 2 ms, and what two clocks may drift apart until it, unless the engine
 * delays beats.
 */
import { HOST_FENCE_MS } from "../../../server/fleet/door/remote-lane.js";
import type { ToHost } from "../../../server/fleet/wire/messages.js";
import type { ToLane } from "../../../server/lane/lane-messages.js";
import type { SimProcess } from "./sim-process.js";

const EARLY_MS_MAX = 2;
/** What is allowed for drift, and the drift itself, for each millisecond until the instant. */
const EARLY_SHARE_MAX = 400e-6;
/** Rounding errors of the sums. */
const LATE_MS_MAX = 1e-3;

interface Meant {
  deadlineAtMs: number | undefined;
  /** The host's, by which it ends what no door has ended. */
  fenceAtMs: number;
}

export class Instants {
  /** By the door's run and its attempt, in true time. */
  private readonly meant = new Map<string, Meant>();

  constructor(
    private readonly options: { mayBeEarly: boolean },
    private readonly broken: (what: string) => void,
  ) {}

  /** The schedule of this door's run sends this to a lane. */
  means(run: string, door: SimProcess, message: ToLane): void {
    if (message.kind !== "assign" && message.kind !== "adopt") return;
    const { deadlineAtMs, fenceAtMs } =
      message.kind === "assign"
        ? message.assignment
        : { deadlineAtMs: undefined, fenceAtMs: message.fenceAtMs };
    this.meant.set(`${run} ${message.attempt}`, {
      deadlineAtMs: deadlineAtMs === undefined ? undefined : door.trueOf(deadlineAtMs),
      fenceAtMs: door.trueOf(fenceAtMs + HOST_FENCE_MS),
    });
  }

  /** A host is sent this. */
  tells(host: SimProcess, message: ToHost, nowMs: number): void {
    if (message.kind !== "assign" && message.kind !== "adopt") return;
    const meant = this.meant.get(`${message.run} ${message.attempt}`);
    if (meant === undefined)
      return this.broken(`${host.name} is sent attempt ${message.attempt} that no schedule made`);
    const compare = (toldMs: number, meantMs: number) => this.compare(host, toldMs, meantMs, nowMs);
    if (message.kind === "adopt") return compare(message.fenceAtMs, meant.fenceAtMs);
    compare(message.assignment.fenceAtMs, meant.fenceAtMs);
    if (meant.deadlineAtMs !== undefined)
      compare(message.assignment.deadlineAtMs, meant.deadlineAtMs);
  }

  private compare(host: SimProcess, toldMs: number, meantMs: number, nowMs: number): void {
    const lateMs = host.trueOf(toldMs) - meantMs;
    const earlyMs = EARLY_MS_MAX + EARLY_SHARE_MAX * Math.max(0, meantMs - nowMs);
    if (lateMs > LATE_MS_MAX)
      this.broken(`${host.name} gets an instant that is ${lateMs.toFixed(3)} ms late`);
    if (lateMs < -earlyMs && !this.options.mayBeEarly)
      this.broken(`${host.name} gets an instant that is ${(-lateMs).toFixed(3)} ms early`);
  }
}
