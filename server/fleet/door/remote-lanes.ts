/**
 * The lanes of other hosts, for one door: hears lane hosts over the engine, gives the dispatcher a
 * link to each of their lanes, and says when they are gone. docs/adr/0018-the-fleet.md has the
 * rules.
 */
import type { Clock } from "../../clock.js";
import type { Engine, EngineMessage } from "../../engine/engine.js";
import type { FleetView, LaneHostView } from "../../lane/lane-hosts.js";
import { heardHostStates } from "../../lane/lane-hosts.js";
import type { LaneListener } from "../../lane/lane-messages.js";
import type { ReadyVerifier } from "../../lane/local-lanes.js";
import { limits } from "../../limits.js";
import type { Logger } from "../../log/log.js";
import { totalOf } from "../../metrics/metric-table.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { MemoryBudget } from "../../memory-budget.js";
import type { DoorMetrics } from "./door-metrics.js";
import { GoneHosts } from "./gone-hosts.js";
import { HostFaults } from "./host-faults.js";
import type { Peer } from "../wire/messages.js";
import { goneCauses } from "./hosts.js";
import { ProofCheck } from "./proof-check.js";
import { RemoteHost } from "./remote-host.js";
import { senderOf, subjects, tokenPattern } from "../wire/subjects.js";

/** A timer that fires so much later than it should: the service's loop stood still. */
const LATE_MS_MAX = 250;
/** Time in which a service that stood still reads what has waited for it meanwhile. */
const CATCH_UP_MS = 500;
/** Lanes stay in use for so long without the engine: a lost server of it is replaced in a third. */
const REACH_MS = 300;
/**
 * The engine's server answers in milliseconds. While one has not for so long, it may be frozen, and with it
 * all that hosts say: the connection counts as broken after 1.5 s only.
 */
const ANSWER_MS = 300;
/** How often hosts and faults of long ago are forgotten. */
const EXPIRE_EVERY_MS = 10_000;

export interface RemoteLanesOptions {
  readonly cell: string;
  /** This service, in this run. */
  readonly door: Peer;
  readonly verify: "other-host" | "same-host";
}

export interface RemoteLanesModules {
  clock: Clock;
  log: Logger;
  metrics: DoorMetrics;
  /** Metrics of the service that are about lane hosts too. */
  service: Pick<Metrics, "deviceDrained" | "fleetAdopted" | "fleetTaken">;
  engine: Engine;
  memory: MemoryBudget;
  /** The verifier of the own devices with this proof system; undefined without any. */
  ownVerifier(system: string): ReadyVerifier | undefined;
}

export class RemoteLanes {
  private readonly hosts = new Map<string, RemoteHost>();
  private readonly faults: HostFaults;
  private readonly gone = new GoneHosts();
  private readonly check: ProofCheck;
  private readonly subjects: ReturnType<typeof subjects>;
  private readonly ends: (() => void)[] = [];
  /** When the timer is due. */
  private dueAtMs = Infinity;
  /** Until then, what comes may have waited while the service's loop stood still. */
  private catchesUpUntilMs = -Infinity;
  /** The question whether the engine's server is there; undefined once it has answered. */
  private asked: { readonly atMs: number } | undefined;
  private cancelTimer = () => {};
  private cancelReach = () => {};
  private expiredAtMs: number;
  private wasUp: boolean;
  private isClosed = false;

  constructor(
    private readonly options: RemoteLanesOptions,
    private readonly modules: RemoteLanesModules,
  ) {
    const { clock, log, metrics, engine, ownVerifier } = modules;
    this.subjects = subjects(options.cell);
    this.faults = new HostFaults({ log, metrics });
    this.expiredAtMs = clock.nowMs();
    this.wasUp = engine.status.isUp;
    this.check = new ProofCheck(options.verify, {
      ...{ clock, log, metrics, faults: this.faults },
      own: ownVerifier,
      hosts: () => [...this.hosts.values()],
    });
    metrics.engineUp.readBy(() => (engine.status.isUp ? 1 : 0));
    metrics.lanes.readBy(() =>
      this.views().reduce((sum, { deviceIds }) => sum + deviceIds.length, 0),
    );
    metrics.hosts.readEach(() => {
      const states = this.views().map(({ state }) => state);
      return heardHostStates.map((state) => {
        return [{ state }, states.filter((each) => each === state).length];
      });
    });
    metrics.hostLanes.readEach(() =>
      this.views().map(({ id, deviceIds }) => [{ host: id }, deviceIds.length]),
    );
    metrics.hostClockOffset.readEach(() =>
      this.views().flatMap(({ id, offsetMs }) => {
        return offsetMs === undefined ? [] : [[{ host: id }, offsetMs / 1000]];
      }),
    );
  }

  /**
   * Begins to hear hosts.
   *
   * @param listener hears of the hosts' lanes
   * @param changed called when a host comes or goes, and when the engine is up or down
   */
  open(listener: LaneListener, changed: () => void): void {
    const { engine, log } = this.modules;
    const { cell, door } = this.options;
    const hearBy = (hear: (host: RemoteHost, message: EngineMessage) => void) => {
      return (message: EngineMessage) => {
        this.noteStandstill(this.modules.clock.nowMs());
        const host = this.host(senderOf(message.subject), listener, changed);
        if (host === undefined || this.isClosed) return;
        hear(host, message);
        this.setTimer(host.dueAtMs);
      };
    };
    this.ends.push(
      engine.subscribe(
        this.subjects.fromHost("*"),
        hearBy((host, message) => host.hear(message)),
      ),
      engine.subscribe(
        this.subjects.toDoor(door.id, "*"),
        hearBy((host, message) => host.hearAsDoor(message)),
      ),
    );
    engine.onStatus(() => this.engineChanged(changed));
    log.info(
      { cell, door: door.id, run: door.run },
      "lane hosts of the cell are used as soon as they are heard on the engine",
    );
  }

  /**
   * What verifies proofs of this proof system for callers: own devices, else lane hosts; undefined
   * when none of them is up.
   */
  verifier(system: string): ReadyVerifier | undefined {
    return this.check.verifier(system);
  }

  /** The lane hosts that are heard, by their id. */
  views(): readonly LaneHostView[] {
    const heard = [...this.hosts.values()].flatMap((host) => host.view() ?? []);
    return heard.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The engine, the lane hosts with those that are gone lately, and what has happened so far. */
  async fleetView(): Promise<FleetView> {
    const { engine, metrics, service } = this.modules;
    const heard = this.views();
    const gone = this.gone
      .views(this.modules.clock.nowMs())
      .filter(({ id }) => heard.every((host) => host.id !== id));
    const byCause = goneCauses.map(async (cause) => {
      return { cause, count: await totalOf(metrics.gone, { cause }) };
    });
    return {
      engine: { ...engine.status, cell: this.options.cell },
      hosts: [...heard, ...gone].sort((a, b) => (a.id < b.id ? -1 : 1)),
      adopted: await totalOf(service.fleetAdopted),
      taken: await totalOf(service.fleetTaken),
      gone: await Promise.all(byCause),
      attemptsGone: await totalOf(metrics.attemptsGone),
    };
  }

  /** Why lane hosts or their lanes are missing, for people; empty when all are there. */
  whyMissing(): string {
    const { isUp, detail } = this.modules.engine.status;
    if (!isUp) return `the engine is down: ${detail}`;
    const hosts = this.views();
    if (hosts.length === 0) return `no lane host is heard on cell ${this.options.cell}`;
    return hosts
      .filter(({ state, cause }) => state !== "used" && cause !== "")
      .map(({ id, cause }) => `lane host ${id} is left out: ${cause}`)
      .join("; ");
  }

  /** Frees what is kept, and hears nothing from now on. Idempotent. */
  close(): void {
    this.isClosed = true;
    this.cancelTimer();
    this.cancelReach();
    for (const end of this.ends.splice(0)) end();
    for (const host of this.hosts.values()) host.close();
    this.hosts.clear();
  }

  /** The host of this id, as it is known or new; undefined when it cannot be one. */
  private host(id: string, listener: LaneListener, changed: () => void): RemoteHost | undefined {
    const known = this.hosts.get(id);
    if (known !== undefined) return known;
    if (!tokenPattern.test(id)) return undefined;
    if (this.hosts.size >= limits.fleetHostsMax) this.expire(this.modules.clock.nowMs());
    if (this.hosts.size >= limits.fleetHostsMax) return undefined;
    const { door } = this.options;
    const host = new RemoteHost(id, {
      ...this.modules,
      ...{ faults: this.faults, check: this.check, subjects: this.subjects, door, listener },
      askEngine: () => this.askEngine(),
      distrust: (from) => this.faults.whyLeftOut(from, this.modules.clock.nowMs()),
      isCatchingUp: () => this.modules.clock.nowMs() < this.catchesUpUntilMs,
      changed,
      left: (gone) => this.gone.add(gone),
      drained: (device, isDrained) =>
        this.modules.service.deviceDrained.set({ device }, isDrained ? 1 : 0),
    });
    this.hosts.set(id, host);
    return host;
  }

  private engineChanged(changed: () => void): void {
    const { isUp } = this.modules.engine.status;
    if (this.isClosed || isUp === this.wasUp) return;
    this.wasUp = isUp;
    this.asked = undefined;
    for (const host of this.hosts.values()) host.step({ kind: "engine", isUp });
    this.setTimer(this.firstDueAtMs());
    this.cancelReach();
    changed();
    if (isUp) return;
    const { clock } = this.modules;
    this.cancelReach = clock.at(clock.nowMs() + REACH_MS, () => {
      for (const host of this.hosts.values()) host.loseReach();
      changed();
    });
  }

  /** Asks the engine's server whether it is there, unless it has yet to answer. */
  private askEngine(): void {
    if (this.asked !== undefined) return;
    const asked = { atMs: this.modules.clock.nowMs() };
    this.asked = asked;
    void this.modules.engine.probe().then(() => {
      if (this.asked === asked) this.asked = undefined;
    }); // it never rejects
  }

  /** Whether the engine's server seems to stand still, so that no host can be heard. */
  private isDeaf(nowMs: number): boolean {
    return this.asked !== undefined && nowMs - this.asked.atMs >= ANSWER_MS;
  }

  /** Sets the timer to this instant, unless it is due before. */
  private setTimer(dueAtMs: number): void {
    if (dueAtMs >= this.dueAtMs || this.isClosed) return;
    this.cancelTimer();
    this.dueAtMs = dueAtMs;
    this.cancelTimer = this.modules.clock.at(dueAtMs, () => this.onTimer());
  }

  private firstDueAtMs(): number {
    return Math.min(Infinity, ...[...this.hosts.values()].map(({ dueAtMs }) => dueAtMs));
  }

  private onTimer(): void {
    const nowMs = this.modules.clock.nowMs();
    const stoodStill = this.noteStandstill(nowMs) || this.isDeaf(nowMs);
    this.dueAtMs = Infinity;
    for (const host of this.hosts.values()) {
      host.step({ kind: stoodStill ? "stood_still" : "tick" });
    }
    if (nowMs - this.expiredAtMs >= EXPIRE_EVERY_MS) this.expire(nowMs);
    this.setTimer(this.firstDueAtMs());
  }

  /** Whether the timer is so late that the loop stood still. Messages may be read before it fires. */
  private noteStandstill(nowMs: number): boolean {
    if (nowMs - this.dueAtMs <= LATE_MS_MAX) return false;
    this.catchesUpUntilMs = nowMs + CATCH_UP_MS;
    return true;
  }

  private expire(nowMs: number): void {
    this.expiredAtMs = nowMs;
    this.faults.expire(nowMs);
    for (const [id, host] of this.hosts) {
      if (host.isForgettable) this.hosts.delete(id);
    }
  }
}
