/**
 * What each attempt at a shared lane took, and how it ended: the host's core-seconds, and its lines in
 * the audit record, whose sums are the counters'. Owned by a `HostLane`, which passes on every
 * transition of the share.
 */
import type { AuditTrail } from "../../audit/audit-log.js";
import type { Clock } from "../../clock.js";
import type { HostMetrics } from "./host-metrics.js";
import type { Owner } from "../wire/messages.js";
import type { ShareEffect, ShareEvent, SharedAttempt, ShareState } from "./lane-share-events.js";

const THOUSAND = 1000;

export interface AttemptRecordOptions {
  readonly device: string;
  /** Cores of the lane. */
  readonly cores: number;
}

export interface AttemptRecordModules {
  readonly clock: Pick<Clock, "nowMs">;
  readonly metrics: HostMetrics;
  /** Undefined when no audit record is kept. */
  readonly audit: AuditTrail | undefined;
}

/** The attempt that has the lane, as far as it is known. */
interface OpenAttempt {
  readonly number: number;
  /** The door that assigned it. */
  readonly door: string;
  readonly digest: string;
  readonly takenAtMs: number;
  /** When the lane below got it; undefined while its work is fetched. */
  givenAtMs: number | undefined;
  /** Who waited for it: the door, by each of its attempts, in the order in which they came. */
  readonly doors: Map<string, string>;
  /** Results sent to doors. */
  sent: number;
  result: string;
}

export class AttemptRecord {
  private open: OpenAttempt | undefined;
  /** Number of the newest attempt that was begun. */
  private last = 0;

  constructor(
    private readonly options: AttemptRecordOptions,
    private readonly modules: AttemptRecordModules,
  ) {}

  /** Takes what the share made of an event. */
  stepped({ attempt }: ShareState, event: ShareEvent, effects: readonly ShareEffect[]): void {
    this.takeCommand(event, effects);
    if (attempt !== null && attempt.number > this.last) this.begin(attempt);
    for (const effect of effects) this.takeEffect(effect);
    for (const owner of attempt?.owners ?? []) this.open?.doors.set(keyOf(owner), owner.id);
    if (attempt?.stage.kind === "leaving" && this.open !== undefined) {
      this.open.result = attempt.stage.reason;
    }
    if (attempt === null || attempt.stage.kind === "ended") this.end();
  }

  /** The host ends: so does what runs, without a result. */
  close(): void {
    if (this.open !== undefined) this.open.result = "closed";
    this.end();
  }

  private begin({ number, owners, assignment }: SharedAttempt): void {
    this.end();
    this.last = number;
    this.open = {
      number,
      door: owners[0]?.id ?? "",
      digest: assignment.digest,
      takenAtMs: this.modules.clock.nowMs(),
      givenAtMs: undefined,
      doors: new Map(),
      sent: 0,
      result: "not_fetched",
    };
  }

  private takeEffect(effect: ShareEffect): void {
    const { open } = this;
    if (effect.kind === "assign" && open?.number === effect.attempt) {
      open.givenAtMs ??= this.modules.clock.nowMs();
      // What the prover's death, or the lane's, leaves without a result.
      open.result = "lost";
    }
    if (effect.kind !== "end") return;
    const { owner, result } = effect;
    if (open?.doors.has(keyOf(owner)) === true) {
      open.sent++;
      open.result = result.kind;
      return;
    }
    const { device } = this.options;
    this.modules.audit?.add("adopt", { door: owner.id, device, result: result.kind });
  }

  private takeCommand(event: ShareEvent, effects: readonly ShareEffect[]): void {
    if (event.kind !== "command" || effects.some(({ kind }) => kind === "ignored")) return;
    const { command, door } = event;
    const { device } = this.options;
    const act = command.kind === "restart" ? "restart" : command.isDrained ? "drain" : "undrain";
    const role = command.kind === "restart" ? { role: command.role } : {};
    this.modules.audit?.add("act", { act, door: door.id, device, ...role });
  }

  private end(): void {
    const { open } = this;
    if (open === undefined) return;
    this.open = undefined;
    const { clock, metrics, audit } = this.modules;
    const { device, cores } = this.options;
    const { door, doors, digest, takenAtMs, givenAtMs, sent, result } = open;
    const nowMs = clock.nowMs();
    const coreMs = (nowMs - (givenAtMs ?? nowMs)) * cores;
    const coreSeconds = Math.round(coreMs) / THOUSAND;
    metrics.coreSeconds.inc(coreSeconds);
    const who = { door, doors: [...new Set(doors.values())], device, digest };
    const seconds = Math.round(nowMs - takenAtMs) / THOUSAND;
    audit?.add("attempt", { ...who, result, sent, coreSeconds, seconds });
  }
}

const keyOf = ({ id, run, attempt }: Owner) => `${id}/${run}/${attempt}`;
