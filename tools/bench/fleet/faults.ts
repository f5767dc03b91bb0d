/** How long a session notices the fault of a part of the fleet. */
import { setTimeout as pause } from "node:timers/promises";
import { TickAggregator } from "../../../client/index.js";
import { committed, madeUp } from "../../fleet/snapshots.js";
import { Fleet } from "../../harness/processes/fleet-processes.js";
import type { FleetOptions } from "../../harness/processes/fleet-processes.js";
import { quantile } from "../statistics.js";

const FENCE_MS = 8000;
const TICK_MS = 5;
const VOTES = 4;
const GATES = { isAggregator: true, hasState: true };
/** By `PROVER`: how lanes prove, how long that takes about, and what a session submits. */
const PROVERS = {
  fake: {
    flags: ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "1500"],
    proofMs: 1500,
    snapshot: (slot: number) => madeUp(0, slot, 1, VOTES),
  },
  // No two sessions in a row have the same votes: a lane would still hold the proof.
  lean_pq: {
    flags: ["--prover", "lean_pq", "--standby", "0"],
    proofMs: 900,
    snapshot: (slot: number) => committed(Math.floor(slot / 4), slot, VOTES),
  },
};
const PROVER = PROVERS[process.env.PROVER === "lean_pq" ? "lean_pq" : "fake"];

export interface Session {
  /** From the submission to the end of its only group. */
  ms: number;
  isProved: boolean;
}

/** A node with one session at a time, of one group with four votes. */
class SessionNode {
  private readonly adapter: TickAggregator;
  private slot = 0;
  /** How often the group of a request has ended at the adapter, by request: 1, or something is wrong. */
  private readonly ends = new Map<string, number>();

  constructor(doors: readonly string[]) {
    this.adapter = new TickAggregator({
      endpoints: doors,
      nodeId: "bench",
      deadlineMs: 5000,
      timeToFence: () => FENCE_MS,
      onError: () => undefined,
    });
  }

  /** Submits, and calls `meanwhile` beside the session. Resolves when the session has ended. */
  async session(meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<Session> {
    const slot = ++this.slot;
    const submit = () => this.adapter.submitOrSkip(slot, GATES, () => PROVER.snapshot(slot));
    let [startMs, answer] = [performance.now(), submit()];
    // A session is in flight until its summary is there, a moment after the last outcome.
    while ("skipped" in answer) {
      if (answer.skipped !== "in_flight") throw new Error(`skipped: ${answer.skipped}`);
      await pause(TICK_MS);
      [startMs, answer] = [performance.now(), submit()];
    }
    const { requestId } = answer;
    const fault = meanwhile();
    const session: Session = { ms: NaN, isProved: false };
    while (performance.now() < startMs + FENCE_MS + 1000) {
      const result = this.take().find((each) => each.requestId === requestId);
      if (result !== undefined) {
        session.ms = performance.now() - startMs;
        session.isProved = result.kind === "outcome" && result.outcome.proof.length > 0;
        break;
      }
      await pause(TICK_MS);
    }
    await fault;
    return session;
  }

  /** Groups that have ended more than once, also long after their session. */
  doubled(): number {
    this.take();
    return [...this.ends.values()].filter((ends) => ends > 1).length;
  }

  private take() {
    const results = this.adapter.takeResults(0);
    for (const { requestId } of results)
      this.ends.set(requestId, (this.ends.get(requestId) ?? 0) + 1);
    return results;
  }

  close(): Promise<void> {
    return this.adapter.close({ drainMs: 0 });
  }
}

export interface Fault {
  what: string;
  options: FleetOptions;
  /** Does the fault while a proof runs. */
  strike(fleet: Fleet): Promise<void>;
  /** Undoes it, and resolves once the fleet is whole again. */
  repair(fleet: Fleet): Promise<void>;
}

const door = { doors: 2, hosts: 2, hostFlags: PROVER.flags };

export const FAULTS: readonly Fault[] = [
  {
    what: "door killed",
    options: door,
    strike: async (fleet) => void (await fleet.doors[0]?.process.kill()),
    repair: async (fleet) => {
      fleet.doors[0]?.restart();
      await fleet.ready();
    },
  },
  {
    what: "door frozen",
    options: door,
    strike: async (fleet) => fleet.doors[0]?.process.signal("SIGSTOP"),
    repair: async (fleet) => {
      fleet.doors[0]?.process.signal("SIGCONT");
      await fleet.ready();
    },
  },
  {
    what: "every host killed but one",
    options: { ...door, doors: 1 },
    // The lane that proves is one of two: whichever is killed, every second time it was that one.
    strike: async (fleet) => void (await fleet.hosts[0]?.process.kill()),
    repair: async (fleet) => {
      fleet.hosts[0]?.restart();
      await fleet.ready();
    },
  },
  {
    what: "one nats-server of three killed",
    options: { ...door, doors: 1, nats: { servers: 3 } },
    strike: (fleet) => fleet.nats.kill(0),
    repair: (fleet) => fleet.nats.start(0),
  },
];

export interface FaultRow {
  what: string;
  sessions: number;
  lost: number;
  doubled: number;
  undisturbedMs: number;
  medianMs: number;
  maxMs: number;
  /** Proofs that a door took over from another one. */
  adopted: number;
}

/** Sessions of one group, with the fault in each at another moment of its proof. */
export async function faultRow(fault: Fault, count: number): Promise<FaultRow> {
  const fleet = await Fleet.start(fault.options);
  try {
    await fleet.ready();
    const node = new SessionNode(await fleet.addresses());
    await pause(1000); // the adapter connects
    const calm: Session[] = [];
    for (let nth = 0; nth < 5; nth++) calm.push(await node.session());
    const struck: Session[] = [];
    for (let nth = 0; nth < count; nth++) {
      const atMs = 100 + (PROVER.proofMs - 300) * ((nth + 0.5) / count);
      const strike = async () => {
        await pause(atMs);
        await fault.strike(fleet);
      };
      struck.push(await node.session(strike));
      await fault.repair(fleet);
      await pause(2000); // the adapter finds the first door again
    }
    const doubled = node.doubled();
    await node.close();
    return {
      what: fault.what,
      sessions: count,
      lost: struck.filter(({ isProved }) => !isProved).length,
      doubled,
      undisturbedMs: quantile(
        calm.map(({ ms }) => ms),
        0.5,
      ),
      medianMs: quantile(
        struck.map(({ ms }) => ms),
        0.5,
      ),
      maxMs: Math.max(...struck.map(({ ms }) => ms)),
      adopted: await adoptedBy(fleet),
    };
  } finally {
    await fleet.close();
  }
}

async function adoptedBy(fleet: Fleet): Promise<number> {
  const counts = await Promise.all(
    fleet.doors.map(async ({ process }) => {
      const text = await process.metrics();
      return Number(/^lean_aggregator_server_fleet_adopted_total (\d+)/m.exec(text)?.[1] ?? 0);
    }),
  );
  return counts.reduce((sum, each) => sum + each, 0);
}
