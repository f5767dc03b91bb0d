/**
 * Which proof system a request without a name gets: the configured one, else that of the first
 * configured device, else that of most lanes. It stays while any lane has it, and 10 s longer, so
 * that provers that are all replaced at once change nothing. Where no device is configured, lanes are
 * counted again for half a second: those of a fleet come one after the other.
 */
import type { ProofSystemName } from "../work/prover-description.js";
import { isNamed } from "../work/prover-description.js";

/** Longer than a prover takes to be set up, and a lane host to come back after a cut. */
const STAYS_MS = 10_000;
/** Longer than five beats of a lane host: those that are up have announced their lanes. */
const GATHERS_MS = 500;

export interface DefaultSystemOptions {
  /** The configured proof system; what is empty in it is left open. Default: all is open. */
  readonly named?: ProofSystemName | undefined;
  /**
   * The first configured device and those with the same provers, of which the first that is set up
   * decides. Default: none does.
   */
  readonly deciders?: readonly string[] | undefined;
}

/** A proof system, and the devices of its lanes in the order in which they came. */
export interface SystemLanes extends ProofSystemName {
  readonly name: string;
  readonly deviceIds: readonly string[];
}

export class DefaultSystem {
  private current: string | undefined;
  /** Since when no lane has the current one; undefined while some lane has it. */
  private missingSinceMs: number | undefined;
  /** When the first lane that may decide was there. */
  private firstLaneAtMs: number | undefined;

  constructor(private readonly options: DefaultSystemOptions) {}

  /**
   * The name of the default; undefined before one is chosen.
   *
   * @param isAwaited whether this device has not described itself yet, and has not failed
   */
  choose(
    systems: readonly SystemLanes[],
    isAwaited: (deviceId: string) => boolean,
    nowMs: number,
  ): string | undefined {
    const { named = { scheme: "", revision: "" }, deciders = [] } = this.options;
    const all = systems.filter((each) => each.deviceIds.length > 0 && isNamed(named, each));
    if (all.length > 0) this.firstLaneAtMs ??= nowMs;
    const isGathering = nowMs < (this.firstLaneAtMs ?? nowMs) + GATHERS_MS;
    const mayChange = deciders.length === 0 && isGathering;
    if (!mayChange && this.stays(all, nowMs)) return this.current;
    const decider = deciders.find((id) => all.some(({ deviceIds }) => deviceIds.includes(id)));
    const chosen =
      decider !== undefined
        ? all.find(({ deviceIds }) => deviceIds.includes(decider))
        : deciders.some(isAwaited)
          ? undefined
          : mostLanes(all);
    if (chosen !== undefined) {
      this.current = chosen.name;
      this.missingSinceMs = undefined;
    }
    return this.current;
  }

  private stays(all: readonly SystemLanes[], nowMs: number): boolean {
    if (this.current === undefined) return false;
    if (all.some(({ name }) => name === this.current)) {
      this.missingSinceMs = undefined;
      return true;
    }
    this.missingSinceMs ??= nowMs;
    return nowMs < this.missingSinceMs + STAYS_MS;
  }
}

/** The proof system of most lanes; of equal ones the first by name. */
function mostLanes(systems: readonly SystemLanes[]): SystemLanes | undefined {
  return [...systems].sort(
    (a, b) => b.deviceIds.length - a.deviceIds.length || (a.name < b.name ? -1 : 1),
  )[0];
}
