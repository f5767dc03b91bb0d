/** What a seed, or a scenario, makes of one simulated fleet: its size, its weather and its faults. */
import type { Random } from "../../random.js";
import type { FoldsOfProver } from "../../sim-prover.js";
import { drawFolds } from "../../weather.js";

export interface FleetWeather {
  /** Shares of the engine's messages that are lost, arrive twice, or are delayed. */
  loss: number;
  doubling: number;
  delayed: number;
  /** Longest delay of a delayed message, in milliseconds; it is overtaken by later ones. */
  delayMs: number;
  /** Share of blobs whose bytes are changed on their way. */
  lies: number;
  /** Shares of groups: with an input that ends whatever prover aggregates it; of several nodes. */
  poison: number;
  identical: number;
  /** Share of snapshots that are of merges, and of prover runs that merge few messages or none. */
  merges: number;
  mergesLess: number;
  /** Share of snapshots that their node cancels while they are in flight. */
  cancels: number;
  /** What one fold of a prover takes: larger groups are trees of jobs. */
  folds: FoldsOfProver;
  startFailures: number;
  /** Scatter of a proof's time around the cost table. */
  scatter: number;
}

export const calmWeather: FleetWeather = {
  loss: 0,
  doubling: 0,
  delayed: 0,
  delayMs: 0,
  lies: 0,
  poison: 0,
  identical: 0,
  merges: 0,
  mergesLess: 0,
  cancels: 0,
  folds: {},
  startFailures: 0,
  scatter: 0.05,
};

/** What happens to one process, or to the engine, at a true instant. Times in milliseconds. */
export type Fault = { atMs: number } &
  /** SIGKILL; a new run starts after `backInMs`. Infinity: never. */
  (
    | { kind: "kill"; process: string; backInMs: number }
    /** SIGSTOP and SIGCONT. */
    | { kind: "freeze"; process: string; forMs: number }
    /** SIGTERM, and a new run after the old one has ended. */
    | { kind: "restart"; process: string }
    /** The process's connection to the engine breaks, and both sides know. */
    | { kind: "cut"; process: string; forMs: number }
    /** What the process sends by the engine, or what it is sent, gets lost, and neither side notices. */
    | { kind: "mute" | "deaf"; process: string; forMs: number }
    /** All servers of the engine are down. */
    | { kind: "outage"; forMs: number }
    /** Nothing gets through between the nodes and this door. */
    | { kind: "unreachable"; process: string; forMs: number }
    /** A prover of the host, or of the door, dies or hangs. */
    | { kind: "prover_dies" | "prover_hangs"; process: string }
    /** A door has a device drained for a while. */
    | { kind: "drain"; process: string; forMs: number }
  );

export interface FleetPlan {
  doors: number;
  hosts: number;
  devicesPerHost: number;
  /** Devices of each door itself. */
  ownDevices: number;
  standbys: 0 | 1;
  nodes: number;
  slots: number;
  /** Chance of a second snapshot of a node in a slot. */
  again: number;
  /** Groups of a snapshot; null: drawn for each, and so are their inputs and the priority. */
  groups: number | null;
  /** Whether these groups are merges. Default: false. */
  areMerges?: boolean;
  /** Raw signatures of each of these groups. Default: drawn for each. */
  raws?: number;
  /** Bytes of invalid children in each group, so that its work is fetched in chunks. Default: 0. */
  ballast?: number;
  /** Budgets of each snapshot; null: drawn for each. */
  budgets: { deadlineMs: number; fenceMs: number } | null;
  /** Nodes prefer the doors in one order; else each in an order of its own. */
  isOneOrder: boolean;
  weather: FleetWeather;
  faults: readonly Fault[];
}

/** Shorter than in the field, so that more happens in a run. */
export const SLOT_MS = 3000;
/** In each slot the nodes submit in the 200 ms from here on. */
export const SUBMIT_AT_MS = 500;

export const doorName = (at: number) => `door-${at}`;
export const hostName = (at: number) => `host-${at}`;

export function drawPlan(random: Random): FleetPlan {
  const size = {
    doors: random.pick([1, 2, 2, 2, 3]),
    hosts: random.pick([1, 2, 2, 3, 4]),
    devicesPerHost: random.pick([1, 1, 2]),
    ownDevices: random.pick([0, 0, 1]),
    standbys: random.pick([0, 1] as const),
    nodes: random.pick([1, 2, 3, 4]),
    slots: 2,
    again: random.pick([0, 0.3]),
    groups: null,
    budgets: null,
    isOneOrder: random.chance(0.7),
  };
  return { ...size, weather: drawWeather(random), faults: drawFaults(random, size) };
}

function drawWeather(random: Random): FleetWeather {
  const isCalm = random.chance(0.3);
  const rate = (max: number) => (isCalm || random.chance(0.5) ? 0 : random.between(0, max));
  return {
    loss: rate(0.1),
    doubling: rate(0.2),
    delayed: rate(0.5),
    delayMs: random.pick([5, 50, 500]),
    lies: rate(0.1),
    poison: rate(0.1),
    identical: random.pick([0, 0.3, 0.6]),
    merges: random.pick([0, 0.3, 0.7]),
    mergesLess: rate(0.5),
    cancels: rate(0.3),
    folds: drawFolds(random),
    startFailures: rate(0.2),
    scatter: random.pick([0.05, 0.3, 1]),
  };
}

function drawFaults(random: Random, size: Omit<FleetPlan, "weather" | "faults">): Fault[] {
  const most = random.pick([0, 1, 1, 2, 4, 8]);
  const doors = Array.from({ length: size.doors }, (_, at) => doorName(at));
  const hosts = Array.from({ length: size.hosts }, (_, at) => hostName(at));
  return Array.from({ length: most }, (): Fault => {
    const process = random.pick([...doors, ...hosts, ...hosts]);
    const atMs = random.between(SLOT_MS, (size.slots + 1) * SLOT_MS);
    const forMs = random.between(200, 3000);
    switch (random.whole(0, 9)) {
      case 0:
      case 1:
        return { kind: "kill", process, atMs, backInMs: random.between(200, 6000) };
      case 2:
        return { kind: "freeze", process, atMs, forMs: random.between(200, 8000) };
      case 3:
        return { kind: "restart", process, atMs };
      case 4:
        return { kind: "cut", process, atMs, forMs };
      case 5:
        return { kind: random.pick(["mute", "deaf"] as const), process, atMs, forMs };
      case 6:
        return { kind: "outage", atMs, forMs: random.between(50, 3000) };
      case 7:
        return { kind: "unreachable", process: random.pick(doors), atMs, forMs };
      case 8:
        return { kind: random.pick(["prover_dies", "prover_hangs"] as const), process, atMs };
      default:
        return { kind: "drain", process: random.pick(doors), atMs, forMs };
    }
  }).sort((a, b) => a.atMs - b.atMs);
}

/** The fault in words, for the event log. */
export function faultText(fault: Fault): string {
  const what = Object.entries(fault).flatMap(([key, value]) => {
    if (key === "kind" || key === "atMs") return [];
    return [typeof value === "number" ? `${key} ${Math.round(value)}` : value];
  });
  return [fault.kind, ...what].join(" ");
}
