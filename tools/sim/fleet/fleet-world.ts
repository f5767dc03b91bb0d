/**
 * One simulated fleet: real doors and lane hosts, each a process with its own clock, and nodes with
 * the adapter's real machine, over an engine in memory, on one true time. A plan says how the engine
 * and the processes misbehave. Broken promises are collected, not thrown, so that a replay shows all
 * of them with the events that led there.
 */
import type { Passage } from "../../../server/engine/memory-engine.js";
import { limits } from "../../../server/limits.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import type { LaneOptions } from "../../../server/lane/lane-events.js";
import { GroupSource } from "../work/group-source.js";
import { plainGroup } from "../work/sim-group.js";
import { plainMerge } from "../work/sim-merge.js";
import { Random } from "../random.js";
import { VirtualClock } from "../virtual-clock.js";
import { FleetEngine } from "./fleet-engine.js";
import type { Fault, FleetPlan } from "./plans/fleet-plan.js";
import { doorName, faultText, hostName, SLOT_MS, SUBMIT_AT_MS } from "./plans/fleet-plan.js";
import type { Seat } from "./fleet-faults.js";
import { FleetFaults } from "./fleet-faults.js";
import { FleetProvers } from "./fleet-provers.js";
import { FleetTruth } from "./fleet-truth.js";
import type { FleetReport } from "./fleet-truth.js";
import { chunkIn, lie } from "./lies.js";
import { NodeLink } from "./node-link.js";
import { SimDoor } from "./sim-door.js";
import { SimHost } from "./sim-host.js";
import type { Snapshot } from "./snapshot.js";
import { SimNode } from "./sim-node.js";
import { SimProcess } from "./sim-process.js";

/** Each clock is ahead by up to so much, in milliseconds; two drift apart by up to 200 ppm. */
const OFFSET_MS_MAX = 1_000_000;
const DRIFT_MAX = 0.0001;

/** From a node to a door, one way. */
const NODE_WAY_MS_MAX = 3;
const DRAIN_MS = 2000;
/** Time after the last fence until nothing may be left. */
const QUIET_MS = 1500;
const FENCE_MS_MAX = 9000;

/** Running proofs are compared with their fences so often. */
const CHECK_EVERY_MS = 1;
const CELL = "sim";
/** From a door to the prover on a host, when nothing delays it. */
const KILL_MS = 50;
/** Faults in which a kill may not get through, or a host waits for a door that is gone. */
const SILENCING: readonly Fault["kind"][] = ["cut", "mute", "deaf", "outage", "freeze", "restart"];

export class FleetWorld {
  readonly time = new VirtualClock();
  readonly random: Random;
  readonly engine: FleetEngine;
  readonly doors: readonly Seat<SimDoor>[];
  readonly hosts: readonly Seat<SimHost>[];
  readonly truth: FleetTruth;
  private readonly source: GroupSource;
  private readonly provers: FleetProvers;
  /** Within this time a proof is killed when nobody waits for it any more. */
  private readonly killWithinMs: number;
  private readonly nodes: readonly SimNode[];
  private readonly faults: FleetFaults;
  private requests = 0;
  /** The latest fence of a submitted snapshot, by true time. */
  private lastFenceMs = 0;
  private lastResumeMs = new Map<SimProcess, number>();

  constructor(
    seed: number,
    readonly plan: FleetPlan,
    { isTraced }: { isTraced: boolean },
  ) {
    this.random = new Random(seed);
    const { time, random } = this;
    const { weather } = plan;
    this.source = new GroupSource(random, weather);
    // A door that hears no beats for a while goes by old ones.
    const areBeatsLate =
      weather.delayed + weather.loss > 0 ||
      plan.faults.some(({ kind }) => SILENCING.includes(kind));
    this.truth = new FleetTruth(time, { isTraced, areBeatsLate });
    this.provers = new FleetProvers(plan, { time, random, truth: this.truth });
    const onMessage = (passage: Passage) => this.crosses(passage);
    this.engine = new FleetEngine({ time, random, weather, onMessage });
    this.doors = seats(plan.doors, doorName);
    this.hosts = seats(plan.hosts, hostName);
    this.faults = new FleetFaults(this);
    const mayBeLost = weather.loss > 0 || plan.faults.some(({ kind }) => SILENCING.includes(kind));
    this.killWithinMs = mayBeLost ? Infinity : weather.delayMs + KILL_MS;
    this.nodes = Array.from({ length: plan.nodes }, (_, at) => this.newNode(`node-${at}`, at));
  }

  async run(): Promise<FleetReport> {
    const { plan, time } = this;
    this.truth.trace("plan", JSON.stringify({ ...plan, faults: undefined }));
    for (const seat of this.hosts) this.startHost(seat);
    for (const seat of this.doors) this.startDoor(seat);
    for (const node of this.nodes) node.start();
    for (let slot = 1; slot <= plan.slots; slot++) this.planSlot(slot);
    for (const fault of plan.faults) {
      time.at(fault.atMs, () => {
        this.truth.trace("FAULT", faultText(fault));
        this.faults.happen(fault);
      });
    }
    let checkedAtMs = 0;
    const each = () => {
      const nowMs = time.nowMs();
      if (nowMs < checkedAtMs + CHECK_EVERY_MS) return;
      checkedAtMs = nowMs;
      this.truth.ledger.check(nowMs, (process) => this.resumedAtMs(process));
      this.checkWanted(nowMs);
    };
    await time.runUntil((plan.slots + 1) * SLOT_MS, each);
    await time.runUntil(this.lastFenceMs + QUIET_MS, each);
    this.faults.end();
    const closed = this.closeAll();
    let isClosed = false;
    void closed.then(() => (isClosed = true)); // it never rejects
    const byMs = time.nowMs() + 2 * DRAIN_MS + QUIET_MS;
    while (!isClosed && time.nowMs() < byMs) await time.runUntil(time.nowMs() + 50, each);
    if (!isClosed) this.truth.violation("not every process has closed in time");
    await time.runUntil(time.nowMs() + QUIET_MS, each);
    const listening = this.engine.connections;
    if (listening > 0) this.truth.violation(`${listening} connections to the engine are left`);
    // Results are held for so long after their fence. A door takes what came while it was frozen when
    // it goes on: such a request's fence is later than that of the node, which has left.
    time.standStill(limits.retentionMs + FENCE_MS_MAX);
    this.checkQuiet();
    return this.truth.report();
  }

  /** A new process at this place, with a clock of its own. */
  newProcess(name: string): SimProcess {
    const { random } = this;
    return new SimProcess(name, this.time, {
      offsetMs: random.between(0, OFFSET_MS_MAX),
      drift: random.between(-DRIFT_MAX, DRIFT_MAX),
    });
  }

  private startDoor(seat: Seat<SimDoor>): void {
    const { options, modules } = this.newRun(seat, this.plan.ownDevices);
    seat.current = new SimDoor(options, { ...modules, witness: this.truth });
    seat.current.open();
  }

  private startHost(seat: Seat<SimHost>): void {
    const { options, modules } = this.newRun(seat, this.plan.devicesPerHost);
    seat.current = new SimHost(options, modules);
    seat.current.open();
  }

  /** What a door or a host is made of. */
  private newRun(seat: Seat<unknown>, count: number) {
    const { name } = seat;
    seat.runs++;
    this.truth.trace(name, `run ${seat.runs} starts`);
    const process = this.newProcess(name);
    const devices = Array.from({ length: count }, (_, at) =>
      this.provers.device(`${name}/cpu${at}`, `cpu${at}`, process),
    );
    const run = runId(name, seat.runs);
    const lanes: LaneOptions = {
      standbyBytesMax: this.plan.standbys === 1 ? Infinity : 0,
      residentBytesMax: 3e9,
      refreshShare: 0,
    };
    const modules = {
      process,
      log: this.truth.logOf(process),
      engine: this.engine.connect(process),
    };
    return { options: { id: name, run, cell: CELL, devices, lanes }, modules };
  }

  /** Starts a new run at this place. */
  start(name: string): void {
    const door = this.doors.find((each) => each.name === name);
    if (door !== undefined) this.startDoor(door);
    const host = this.hosts.find((each) => each.name === name);
    if (host !== undefined) this.startHost(host);
  }

  /** Notes that the process has gone on after it was frozen. */
  resumed(process: SimProcess): void {
    this.lastResumeMs.set(process, this.time.nowMs());
  }

  /** A message is sent over the engine. */
  private crosses(passage: Passage): void {
    const { random, truth, plan } = this;
    const [, , kind, name] = passage.subject.split(".");
    const host = this.hosts.find((each) => each.name === name)?.current;
    if (kind === "host" && host !== undefined) truth.crosses(host, passage);
    if (chunkIn(passage).length > 0) truth.chunkCrosses(passage);
    if (plan.weather.lies === 0 || !random.chance(plan.weather.lies)) return;
    if (lie(passage, random)) truth.trace(passage.from, `is misquoted to ${passage.to}`);
  }

  private newNode(nodeId: string, at: number): SimNode {
    const { plan, random } = this;
    const process = this.newProcess(nodeId);
    const order = this.doors.map((_, nth) => (plan.isOneOrder ? nth : (nth + at) % plan.doors));
    const links = new Map(
      order.flatMap((nth) => {
        const seat = this.doors[nth];
        if (seat === undefined) return [];
        const wayMs = random.between(0.1, NODE_WAY_MS_MAX);
        const isOpen = () => this.faults.isReachable(seat.name);
        const door = () => seat.current;
        return [[seat.name, new NodeLink({ node: process, door, isOpen, wayMs })] as const];
      }),
    );
    return new SimNode(nodeId, { process, links, witness: this.truth });
  }

  private planSlot(slot: number): void {
    const { plan, random, time } = this;
    const startMs = slot * SLOT_MS;
    for (const node of this.nodes) {
      time.at(startMs + SUBMIT_AT_MS + random.between(0, 200), () => this.submit(node, slot));
      const again = SUBMIT_AT_MS + random.between(200, 2300);
      if (random.chance(plan.again)) time.at(startMs + again, () => this.submit(node, slot));
    }
  }

  private submit(node: SimNode, slot: number): void {
    const { random, plan } = this;
    const requestId = `${++this.requests}`;
    const fenceMs = random.chance(0.8) ? 6400 : random.whole(200, FENCE_MS_MAX);
    const asked = random.chance(0.6) ? 750 : random.whole(1, 6000);
    const budgets = plan.budgets ?? { deadlineMs: Math.min(asked, fenceMs), fenceMs };
    const drawn = {
      priority: random.pick(["proposal", "aggregation", "aggregation", "backlog"] as const),
      groups: this.source.draw(random.whole(1, 3), requestId),
      mayShed: random.chance(0.9),
    };
    const plain = { priority: "aggregation", mayShed: false } as const;
    const snapshot: Snapshot = {
      ...{ nodeId: node.nodeId, requestId, slot, minInputs: 1 },
      ...(plan.groups === null
        ? drawn
        : { ...plain, groups: this.plainGroups(plan.groups, requestId) }),
    };
    this.truth.results.submitted(snapshot);
    this.truth.trace(node.nodeId, `submits ${requestId}: ${snapshot.groups.length} groups`);
    this.lastFenceMs = Math.max(this.lastFenceMs, this.time.nowMs() + budgets.fenceMs);
    node.submit(snapshot, budgets);
    if (!random.chance(plan.weather.cancels)) return;
    const afterMs = random.between(0, 3000);
    this.time.at(this.time.nowMs() + afterMs, () => node.withdraw(requestId));
  }

  private plainGroups(count: number, requestId: string): DecodedGroup[] {
    const { random, plan } = this;
    return Array.from({ length: count }, (_, at) => {
      const name = `${requestId}/${at}`;
      return plan.areMerges === true ? plainMerge(random, name) : plainGroup(random, name, plan);
    });
  }

  private resumedAtMs(process: SimProcess): number {
    return this.lastResumeMs.get(process) ?? 0;
  }

  /** Where kills get through: see `killWithinMs`. */
  private checkWanted(nowMs: number): void {
    if (this.killWithinMs === Infinity) return;
    const wanted = new Set(this.doors.flatMap(({ current }) => current?.wanted() ?? []));
    this.truth.ledger.checkWanted(nowMs, (name) => wanted.has(name), this.killWithinMs);
  }

  private async closeAll(): Promise<void> {
    this.truth.trace("world", "every process gets SIGTERM");
    const parts = [...this.doors, ...this.hosts].map((seat) => seat.current);
    await Promise.all(parts.map((part) => part?.close(DRAIN_MS)));
  }

  /** Nothing may be left when every process has closed. */
  private checkQuiet(): void {
    const { livingProvers } = this.truth.ledger;
    if (livingProvers > 0) this.truth.violation(`${livingProvers} provers are left`);
    for (const { name, current } of [...this.doors, ...this.hosts]) {
      const left = current?.process.timers.size ?? 0;
      if (left > 0) this.truth.violation(`${name}: ${left} timers are left`);
    }
    for (const { name, current } of this.doors) {
      if (current === undefined) continue;
      const { admission, memory } = current;
      if (admission.listSessions().length > 0) this.truth.violation(`${name}: sessions are left`);
      admission.expire();
      if (memory.heldBytes > 0) this.truth.violation(`${name}: ${memory.heldBytes} bytes are held`);
    }
    for (const { nodeId, open } of this.nodes)
      if (open > 0) this.truth.violation(`${nodeId}: the adapter still has ${open} requests`);
  }
}

function seats<Part>(count: number, nameOf: (at: number) => string): Seat<Part>[] {
  return Array.from({ length: count }, (_, at) => {
    return { name: nameOf(at), runs: 0, current: undefined };
  });
}

/** 16 hexadecimal digits that no other run has. */
function runId(name: string, run: number): string {
  return Buffer.from(`${name} ${run}`).toString("hex").padEnd(16, "0").slice(-16);
}
