/**
 * The schedules, one for each proof system that some lane proves: each has a dispatcher and a queue of
 * its own, and knows nothing of the others. Hears of all lanes, and passes each to the schedule of the
 * proof system by which the lane describes itself. A lane that has not described itself is in none.
 */
import type { Clock } from "../clock.js";
import { quoted } from "../errors.js";
import type { FromLink, LaneLink, LaneListener } from "../lane/lane-messages.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { MemoryBudget } from "../memory-budget.js";
import type { Metrics } from "../metrics/metrics.js";
import type { Session } from "../session/session.js";
import type { Sessions } from "../session/sessions.js";
import type { ProofSystemName, ProverDescription } from "../work/prover-description.js";
import { isNamed, proofSystemOf } from "../work/prover-description.js";
import type { DefaultSystemOptions, SystemLanes } from "./default-system.js";
import { DefaultSystem } from "./default-system.js";
import type { AttemptNumbers, AttemptSource } from "./dispatcher.js";
import { Dispatcher } from "./dispatcher.js";
import type { OperatedDevice } from "./lane-handle.js";
import { whyDown } from "./lane-handle.js";
import { GroupQueue } from "./queue.js";
import type { Schedule } from "./schedule.js";
import { Upgrade } from "./upgrade/upgrade.js";
import type { UpgradeOptions, UpgradeView } from "./upgrade/upgrade.js";
import { Accounts } from "./usage.js";

export interface SchedulesOptions extends DefaultSystemOptions {
  /** Raw signatures of one job, at most, besides the limits of the provers. Default: those alone. */
  readonly leafRawsMax?: number | undefined;
  /** The next revision of the default proof system. Default: none. */
  readonly upgrade?: UpgradeOptions | undefined;
}

export interface SchedulesModules {
  clock: Clock;
  metrics: Metrics;
  /** Default: nothing is logged. */
  log?: Logger | undefined;
  /** Why lanes are missing, for people; empty when all are there. Default: empty. */
  whyMissing?: () => string;
  /** What each dispatcher gets its attempts from. Default: the schedule's queue itself. */
  sourceOf?: ((schedule: Schedule) => AttemptSource) | undefined;
}

interface KnownLane {
  readonly link: LaneLink;
  /** Sequence number of the newest announcement. */
  sequence: number;
  /** Undefined while the lane is in no schedule. */
  schedule: Schedule | undefined;
  /** Why the lane's provers cannot be used, for people; undefined when they can. */
  misfit: string | undefined;
}

export class Schedules implements LaneListener {
  /** Prover time of nodes and principals, over all proof systems. */
  readonly accounts = new Accounts();
  /** The lanes by device, in the order in which they came. */
  private readonly lanes = new Map<string, KnownLane>();
  private readonly schedules = new Map<string, Schedule>();
  private readonly defaultSystem: DefaultSystem;
  private readonly upgrade: Upgrade | undefined;
  /** Has the lanes that are in no schedule; they get no work. */
  private readonly apart: Dispatcher;
  private readonly numbers: AttemptNumbers = { last: 0 };
  /** The lanes by schedule; undefined after a lane has come, moved or gone. */
  private bySystem: readonly SystemLanes[] | undefined;
  private readonly whenUp = new Set<() => void>();
  private above: { sessions: Sessions; memory: MemoryBudget } | undefined;
  private isClosed = false;

  constructor(
    private readonly options: SchedulesOptions,
    private readonly modules: SchedulesModules,
  ) {
    const { clock, metrics } = modules;
    this.defaultSystem = new DefaultSystem(options);
    this.upgrade = this.upgradeBy(options.upgrade);
    this.apart = new Dispatcher({ clock, metrics, numbers: this.numbers });
    metrics.deviceInfo.readEach(() =>
      [...this.lanes].flatMap(([device, { schedule }]) => {
        if (schedule === undefined) return [];
        const { scheme, revision } = schedule.prover;
        return [[{ device, scheme, revision }, 1] as const];
      }),
    );
  }

  /**
   * Sets the sessions whose groups are scheduled, and the budget for what is held of them. Called
   * once, before any lane is heard.
   */
  start(sessions: Sessions, memory: MemoryBudget): void {
    this.above = { sessions, memory };
  }

  /** Takes in a lane. One of the same device that is still there is taken to have gone. */
  added(link: LaneLink): void {
    const { deviceId } = link;
    this.gone(deviceId, `device ${deviceId} has come again`);
    if (this.isClosed) return;
    this.lanes.set(deviceId, { link, sequence: 0, schedule: undefined, misfit: undefined });
    this.apart.added(link);
  }

  /** Takes a message of the lane of this device; of a device that has gone, it is ignored. */
  heard(deviceId: string, message: FromLink): void {
    const lane = this.lanes.get(deviceId);
    if (this.isClosed || lane === undefined) return;
    if (message.kind === "announce" && message.sequence > lane.sequence) {
      lane.sequence = message.sequence;
      if (message.description !== null) this.place(lane, message.description);
    }
    this.dispatcherOf(lane).heard(deviceId, message);
    this.settle();
  }

  /** Removes the lane of this device: see `Dispatcher.gone`. */
  gone(deviceId: string, why: string): void {
    const lane = this.lanes.get(deviceId);
    if (this.isClosed || lane === undefined) return;
    this.lanes.delete(deviceId);
    this.bySystem = undefined;
    this.dispatcherOf(lane).gone(deviceId, why);
    this.settle();
  }

  /**
   * The schedule of the default proof system, as it is before an upgrade; undefined before one is
   * chosen.
   */
  get default(): Schedule | undefined {
    const nowMs = this.modules.clock.nowMs();
    const isAwaited = (deviceId: string) => this.isAwaited(deviceId);
    const name = this.defaultSystem.choose(this.systems(), isAwaited, nowMs);
    return name === undefined ? undefined : this.schedules.get(name);
  }

  /** All schedules: the default first, the others in the order in which they came. */
  all(): readonly Schedule[] {
    const first = this.default;
    const others = [...this.schedules.values()].filter((each) => each !== first);
    return first === undefined ? others : [first, ...others];
  }

  /**
   * The schedule that the name means: the first of `all`, or what an upgrade puts in its place for this
   * slot; undefined when none has such a name.
   */
  find(name: ProofSystemName, slot: bigint): Schedule | undefined {
    const first = this.default;
    const isOpen = name.scheme === "" && name.revision === "";
    const found = isOpen ? first : this.all().find(({ prover }) => isNamed(name, prover));
    if (found === undefined || found !== first || name.revision !== "") return found;
    return this.upgrade?.scheduleOf(found, slot) ?? found;
  }

  /** How far the upgrade of the default proof system is; undefined without one. */
  get upgradeView(): UpgradeView | undefined {
    return this.upgrade?.view;
  }

  /** The schedule of a session in flight. */
  of({ system }: Session): Schedule {
    const schedule = this.schedules.get(system);
    if (schedule === undefined) throw new Error(`no schedule has the proof system ${system}`);
    return schedule;
  }

  /** Ids of the devices with the proof system of this name, in the order in which they came. */
  devicesOf(name: string): readonly string[] {
    return this.systems().find((each) => each.name === name)?.deviceIds ?? [];
  }

  /** The devices, for the operator and for `GetServerInfo`, in the order in which they came. */
  devices(): readonly OperatedDevice[] {
    return [...this.lanes].flatMap(([id, lane]) => this.dispatcherOf(lane).device(id) ?? []);
  }

  /** See `Dispatcher.laneOf`. */
  laneOf(attempt: number): ReturnType<Dispatcher["laneOf"]> {
    for (const { dispatcher } of this.schedules.values()) {
      const lane = dispatcher.laneOf(attempt);
      if (lane !== undefined) return lane;
    }
    return undefined;
  }

  /** How far the attempt is: see `GroupQueue.progressOf`. */
  progressOf(attempt: number): { done: number; jobs: number } | undefined {
    for (const { queue } of this.schedules.values()) {
      const progress = queue.progressOf(attempt);
      if (progress !== undefined) return progress;
    }
    return undefined;
  }

  /** The attempt of which this number is a job: see `GroupQueue.wholeOf`. */
  wholeOf(number: number): number {
    const wholes = [...this.schedules.values()].map(({ queue }) => queue.wholeOf(number));
    return wholes.find((whole) => whole !== number) ?? number;
  }

  /** Whether some lane is being set up for the first time, and may prove what no other does. */
  get isStarting(): boolean {
    return [...this.lanes.keys()].some((deviceId) => this.isAwaited(deviceId));
  }

  /** Whether the default proof system is up, or the one that has taken its place: see `Dispatcher.isUp`. */
  get isUp(): boolean {
    return this.default?.dispatcher.isUp === true || this.upgrade?.isUp === true;
  }

  /**
   * A text for people that says why the default proof system takes no work, and which others take
   * none. Empty when all take work.
   */
  whyDown(): string {
    const first = this.default;
    const { isUp } = this;
    const others = this.all().filter((each) => (isUp || each !== first) && !each.dispatcher.isUp);
    const down = others.map(({ name, dispatcher }) => `${name} is down: ${dispatcher.whyDown()}`);
    if (isUp) return down.join("; ");
    const own = (first?.dispatcher.devices() ?? []).map(whyDown);
    const missing = this.modules.whyMissing?.() ?? "";
    const causes = [...own, ...this.whyApart(), ...down, ...(missing === "" ? [] : [missing])];
    return causes.join("; ") || this.whyNoDefault();
  }

  /** Resolves once the default proof system is up, or when the schedules are closed. */
  async ready(): Promise<void> {
    if (this.isUp || this.isClosed) return;
    await new Promise<void>((resolve) => this.whenUp.add(resolve));
  }

  /** Forgets prover use that has faded, and schedules without lanes and sessions. */
  expire(): void {
    this.accounts.expire(this.modules.clock.nowMs());
    const first = this.default;
    // Of sizes that nobody has any more: the next lane opens it anew.
    const isBlocked = [...this.lanes.values()].some(({ misfit }) => misfit !== undefined);
    for (const schedule of this.schedules.values()) {
      const { name, queue } = schedule;
      queue.expire();
      const isUsed =
        this.devicesOf(name).length > 0 || this.above?.sessions.hasSystem(name) === true;
      if (isUsed || (schedule === first && !isBlocked)) continue;
      this.schedules.delete(name);
      this.bySystem = undefined;
      this.above?.sessions.forgetSystem(name);
      queue.close();
    }
  }

  /** Ignores messages and assigns nothing from now on. Idempotent. */
  close(): void {
    this.upgrade?.close();
    this.isClosed = true;
    this.apart.close();
    for (const { dispatcher, queue } of this.schedules.values()) {
      dispatcher.close();
      queue.close();
    }
    this.resolveUp();
  }

  /** Passes the lane to the schedule of this proof system, unless it is there. */
  private place(lane: KnownLane, prover: ProverDescription): void {
    const name = proofSystemOf(prover);
    const found = this.schedules.get(name) ?? this.open(name, prover);
    lane.misfit = found === undefined ? TOO_MANY : whyMisfit(prover, found.prover);
    const schedule = lane.misfit === undefined ? found : undefined;
    if (schedule === lane.schedule) return;
    const { deviceId } = lane.link;
    const before = this.dispatcherOf(lane);
    lane.schedule = schedule;
    this.bySystem = undefined;
    before.release(deviceId, `device ${deviceId} now proves ${name}`);
    this.dispatcherOf(lane).added(lane.link);
  }

  /** A new schedule; undefined when there are too many. */
  private open(name: string, prover: ProverDescription): Schedule | undefined {
    if (this.schedules.size >= limits.proofSystemsMax) this.expire();
    if (this.schedules.size >= limits.proofSystemsMax) return undefined;
    const { above, accounts, numbers } = this;
    if (above === undefined) throw new Error("a lane was heard before the schedules' start");
    const { clock, metrics } = this.modules;
    const dispatcher = new Dispatcher({ clock, metrics, numbers }, this.options.leafRawsMax);
    const sessions = above.sessions.ofSystem(name);
    const { memory } = above;
    const queue = new GroupQueue({ clock, metrics, dispatcher, accounts, sessions, memory });
    const schedule = {
      ...{ name, dispatcher, queue },
      get prover() {
        return dispatcher.describe() ?? prover;
      },
    };
    this.schedules.set(name, schedule);
    this.bySystem = undefined;
    const source = this.modules.sourceOf?.(schedule) ?? queue;
    dispatcher.start(this.upgrade?.watch(schedule, source) ?? source);
    return schedule;
  }

  private upgradeBy(options: UpgradeOptions | undefined): Upgrade | undefined {
    if (options === undefined) return undefined;
    const { clock, metrics, log } = this.modules;
    return new Upgrade(options, {
      ...{ clock, metrics, log },
      memory: () => this.above?.memory,
      default: () => this.default,
      schedule: (name) => this.schedules.get(name),
    });
  }

  private dispatcherOf({ schedule }: KnownLane): Dispatcher {
    return schedule?.dispatcher ?? this.apart;
  }

  /** Whether the lane has not described itself yet, and its setup has not failed. */
  private isAwaited(deviceId: string): boolean {
    const lane = this.lanes.get(deviceId);
    if (lane === undefined || lane.schedule !== undefined || lane.misfit !== undefined)
      return false;
    return this.apart.device(deviceId)?.report.phase.kind !== "failed";
  }

  /** Chooses the default while the lanes are as they are, not only when somebody asks. */
  private settle(): void {
    if (this.isUp) this.resolveUp();
  }

  private resolveUp(): void {
    for (const resolve of this.whenUp) resolve();
    this.whenUp.clear();
  }

  private systems(): readonly SystemLanes[] {
    if (this.bySystem !== undefined) return this.bySystem;
    const deviceIds = new Map<string, string[]>();
    for (const [deviceId, { schedule }] of this.lanes) {
      if (schedule === undefined) continue;
      const known = deviceIds.get(schedule.name);
      if (known === undefined) deviceIds.set(schedule.name, [deviceId]);
      else known.push(deviceId);
    }
    this.bySystem = [...this.schedules.values()].map(({ name, prover: { scheme, revision } }) => {
      return { name, scheme, revision, deviceIds: deviceIds.get(name) ?? [] };
    });
    return this.bySystem;
  }

  /** Why each lane that is in no schedule takes no work. */
  private whyApart(): string[] {
    return this.apart.devices().map((device) => {
      const { deviceId } = device;
      const misfit = this.lanes.get(deviceId)?.misfit;
      return misfit === undefined ? whyDown(device) : `device ${deviceId} is not used: ${misfit}`;
    });
  }

  private whyNoDefault(): string {
    if (this.lanes.size === 0) return "no lane is there";
    const { named } = this.options;
    const parts = [named?.scheme ?? "", named?.revision ?? ""].filter((part) => part !== "");
    return `no device proves ${quoted(parts.join(" "))}, the configured default`;
  }
}

const TOO_MANY = `the service has ${limits.proofSystemsMax} proof systems already`;

/** Why provers cannot be used beside others of the same name; undefined when they can. */
function whyMisfit(own: ProverDescription, first: ProverDescription): string | undefined {
  const sizesOf = ({ publicKeyBytes, signatureBytes, anySize = false, fake }: ProverDescription) =>
    `${publicKeyBytes} and ${signatureBytes} bytes${anySize ? ", any size" : ""}` +
    (fake ? ", fake" : "");
  const [theirs, ours] = [sizesOf(own), sizesOf(first)];
  if (theirs === ours) return undefined;
  const name = proofSystemOf(own);
  return `keys and signatures of ${name} have ${theirs} there, ${ours} on other devices`;
}
