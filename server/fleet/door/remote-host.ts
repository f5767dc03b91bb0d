/**
 * One lane host as a door knows it: its life (`hosts.ts`), its clock, its lanes, and the bytes that
 * it may fetch. What it sends is untrusted: see `host-wire.ts`. A result is taken only for an
 * attempt that the host was given, also when the host goes meanwhile. Owned by `RemoteLanes`.
 */
import type { EngineMessage } from "../../engine/engine.js";
import { EngineError } from "../../engine/engine.js";
import { assertNever } from "../../errors.js";
import type { LaneHostView } from "../../lane/lane-hosts.js";
import type { LaneListener } from "../../lane/lane-messages.js";
import { limits } from "../../limits.js";
import type { Logger } from "../../log/log.js";
import type { MemoryBudget } from "../../memory-budget.js";
import type { ClaimedProof } from "../../prover/prover.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { decodeFromHost, decodeToDoor, encodeChunk } from "../wire/codec.js";
import { askVerdict } from "./ask-verdict.js";
import type { DoorMetrics } from "./door-metrics.js";
import type { HostWireModules } from "./host-wire.js";
import { HostWire } from "./host-wire.js";
import type { GoneCause, HostEffect, HostEvent, HostLife } from "./hosts.js";
import {
  dueAtMs,
  goneTexts,
  isForgettable,
  transitionHost,
  twinOf,
  twinText,
  unheardHost,
} from "./hosts.js";
import { KeptBytes } from "./kept-bytes.js";
import { LeftLanes } from "./left-lanes.js";
import type { FromHost, ToDoor, Verdict } from "../wire/messages.js";
import type { PeerClock } from "./peer-clock.js";
import { heardBeat, toPeer, unheardClock } from "./peer-clock.js";
import type { ProofCheck, VerifyingHost } from "./proof-check.js";
import type { Refusal } from "./refusal.js";
import { refusalOf } from "./refusal.js";
import { RemoteLane } from "./remote-lane.js";
import { reportFor } from "../wire/report.js";
import { takeResult } from "./take-result.js";

const PING_MS = 500;
/** A host that ignores an assignment gets none for so long. */
const REST_MS = 10_000;
/** How long a host of another version is remembered after its last message. */
const VERSION_KEPT_MS = 10_000;

export interface RemoteHostModules extends HostWireModules {
  log: Logger;
  metrics: DoorMetrics;
  memory: MemoryBudget;
  check: Pick<ProofCheck, "check">;
  /** Asks the engine's server whether it is there: the host was not heard for a moment. */
  askEngine(): void;
  listener: LaneListener;
  /** Why its lanes are left out; undefined when they are used. */
  distrust(host: string): string | undefined;
  /** Whether what comes now may have waited here, as this process stood still. */
  isCatchingUp(): boolean;
  /** Called when the host has joined or is gone, and when its lanes are used or no longer. */
  changed(): void;
  /** Called when the host is gone. */
  left(host: LaneHostView): void;
  /** Notes whether the operator keeps work from a device that is used. */
  drained(deviceId: string, isDrained: boolean): void;
}

/** A device of the host. */
interface KnownLane {
  readonly lane: RemoteLane;
  /** Number of the newest announcement. */
  sequence: number;
  /** Whether the dispatcher has the lane. */
  isAdded: boolean;
  /** Why it is not used; undefined when it may be. */
  refusal: Refusal | undefined;
}

export class RemoteHost implements VerifyingHost {
  private life: HostLife = unheardHost;
  private peerClock: PeerClock = unheardClock;
  private readonly lanes = new Map<string, KnownLane>();
  /** Of the times that the host has gone. */
  private readonly left = new LeftLanes();
  private readonly kept: KeptBytes;
  private readonly wire: HostWire;
  /** Aborted when the host is gone: ends what waits for it. */
  private gone = new AbortController();
  private otherVersion: { version: number; heardAtMs: number } | undefined;
  /** Until then it is given nothing, as it has ignored what it was assigned. */
  private restsUntilMs = -Infinity;
  /** Why one of its lanes is not used, or why the host is not; undefined when all are, or none was announced. */
  private refusal: Refusal | undefined;

  constructor(
    readonly id: string,
    private readonly modules: RemoteHostModules,
  ) {
    const { memory, metrics } = modules;
    this.kept = new KeptBytes(memory, (more) => metrics.keptBytes.inc(more));
    this.wire = new HostWire(id, () => this.run, modules);
  }

  get heardAtMs(): number {
    const { phase } = this.life;
    return phase.kind === "joined" ? phase.heardAtMs : (this.otherVersion?.heardAtMs ?? -Infinity);
  }

  get isJoined(): boolean {
    return this.life.phase.kind === "joined";
  }

  free(system: string): ProverDescription[] {
    if (this.modules.clock.nowMs() < this.restsUntilMs) return [];
    return this.used().flatMap(({ lane }) => {
      const { report } = lane;
      const isFree = report?.phase.kind === "idle" || report?.isStandbyReady === true;
      return isFree && lane.system === system ? (report.description ?? []) : [];
    });
  }

  /** When `step({ kind: "tick" })` is due. */
  get dueAtMs(): number {
    return dueAtMs(this.life);
  }

  /** Whether nothing needs to be remembered of the host. */
  get isForgettable(): boolean {
    const nowMs = this.modules.clock.nowMs();
    return (
      !this.isSpeaking(nowMs) && this.left.isForgettable(nowMs) && isForgettable(this.life, nowMs)
    );
  }

  /** Whether it was heard lately in another version. */
  private isSpeaking(nowMs: number): boolean {
    return nowMs - (this.otherVersion?.heardAtMs ?? -Infinity) < VERSION_KEPT_MS;
  }

  /** The host as it is heard; undefined while it is not. */
  view(): LaneHostView | undefined {
    const { refusal, run, id, heardAtMs } = this;
    const nowMs = this.modules.clock.nowMs();
    if (!this.isJoined && !(refusal !== undefined && this.isSpeaking(nowMs))) return undefined;
    const hostNowMs = toPeer(this.peerClock, nowMs, nowMs);
    const used = this.used();
    const twin = twinOf(this.life, nowMs);
    return {
      ...{ id, run, heardAtMs },
      state: refusal?.state ?? (used.length > 0 ? "used" : "joining"),
      cause: refusal?.why ?? (twin === undefined ? "" : twinText(this.id, this.run, twin)),
      offsetMs: hostNowMs === undefined ? undefined : nowMs - hostNowMs,
      deviceIds: used.map(({ lane }) => lane.deviceId),
      attempts: used.reduce((sum, { lane }) => sum + lane.load, 0),
    };
  }

  /** Takes what the host tells all doors. */
  hear({ bytes }: EngineMessage): void {
    const decoded = this.wire.heard(bytes, decodeFromHost);
    if (decoded.kind === "message") this.take(decoded.message);
    else if (decoded.kind === "version") this.hearVersion(decoded.version);
  }

  /** Takes what the host tells, or asks of, this door. */
  hearAsDoor({ bytes, answer }: EngineMessage): void {
    const decoded = this.wire.heard(bytes, decodeToDoor);
    if (decoded.kind !== "message") return;
    const { message } = decoded;
    if (message.doorRun !== this.modules.door.run) return;
    if (message.kind === "ended") return this.takeEnded(message);
    const chunk = this.kept.chunk(message.sha256, message.offset);
    this.wire.answer(answer, encodeChunk(chunk));
  }

  step(event: HostEvent): void {
    const { run } = this;
    const { host, effects } = transitionHost(this.life, event, this.modules.clock.nowMs());
    this.life = host;
    for (const effect of effects) this.apply(effect, run);
  }

  /** Shows the lanes as out of reach, until they are announced again. */
  loseReach(): void {
    for (const { lane } of this.used()) lane.unreachable("out of reach without the engine");
  }

  async verify(system: string, proof: ClaimedProof, signal: AbortSignal): Promise<Verdict> {
    const signals = [signal, this.gone.signal];
    return askVerdict(proof, system, signals, { wire: this.wire, kept: this.kept });
  }

  /** Frees what is kept, and ends what waits for the host. */
  close(): void {
    for (const { lane } of this.lanes.values()) lane.close();
    this.lanes.clear();
    this.left.close();
    this.gone.abort();
  }

  private get run(): string {
    return this.life.phase.kind === "joined" ? this.life.phase.run : "";
  }

  private used(): KnownLane[] {
    return [...this.lanes.values()].filter(({ isAdded }) => isAdded);
  }

  private hearVersion(version: number): void {
    if (this.otherVersion?.version !== version) {
      const { log } = this.modules;
      log.warn({ host: this.id, version }, "lane host is left out: it speaks another version");
    }
    this.otherVersion = { version, heardAtMs: this.modules.clock.nowMs() };
    const why = `it speaks version ${version} of the fleet's messages`;
    if (!this.isJoined) this.refusal = { why, state: "left_out" };
  }

  private take(message: FromHost): void {
    const { run } = message;
    if (message.kind === "bye") return this.step({ kind: "bye", run });
    this.step({ kind: "heard", run });
    if (this.run !== run) return; // a run that has ended
    if (message.kind === "beat") this.takeBeat(run, message.nowMs);
    else this.takeAnnouncement(message);
  }

  private takeBeat(run: string, hostNowMs: number): void {
    const { clock, metrics } = this.modules;
    const nowMs = clock.nowMs();
    const hasWaited = this.modules.isCatchingUp();
    const wasKnown = toPeer(this.peerClock, nowMs, nowMs) !== undefined;
    this.peerClock = heardBeat(this.peerClock, { run, nowMs: hostNowMs, hasWaited }, nowMs);
    const fastestMs = toPeer(this.peerClock, nowMs, nowMs);
    if (fastestMs === undefined) return;
    metrics.beatDelay.observe(Math.max(0, fastestMs - hostNowMs) / 1000);
    if (wasKnown) return;
    for (const known of this.lanes.values()) this.admit(known);
  }

  private takeAnnouncement(message: Extract<FromHost, { kind: "announce" }>): void {
    const { device, sequence, report } = message;
    const known = this.lanes.get(device) ?? this.meet(device);
    if (known === undefined || sequence <= known.sequence) return;
    known.sequence = sequence;
    const { door, clock } = this.modules;
    known.lane.report = reportFor(door, report, clock.nowMs());
    this.admit(known);
  }

  private meet(device: string): KnownLane | undefined {
    if (this.lanes.size >= limits.devicesMax) {
      this.wire.fault("device", `device ${device} is one more than ${limits.devicesMax}`);
      return undefined;
    }
    const { clock, listener, log, check } = this.modules;
    const deviceId = `${this.id}.${device}`;
    const modules = {
      ...{ clock, log, check, host: this.id, deviceId },
      request: this.wire.request.bind(this.wire),
      fault: this.wire.fault.bind(this.wire),
    };
    const lane = new RemoteLane(device, deviceId, {
      clock,
      post: (order) => this.wire.post(order),
      postOrMiss: (order) => this.wire.postOrMiss(order),
      toHost: (instantMs) => toPeer(this.peerClock, instantMs, clock.nowMs()),
      keep: (bytes) => this.kept.keep(bytes),
      emit: (message) => listener.heard(deviceId, message),
      fault: modules.fault,
      ignored: () => this.rest(),
      take: (remote, attempt, taking) => takeResult(remote, attempt, taking, modules),
    });
    const known = { lane, sequence: 0, isAdded: false, refusal: undefined };
    this.lanes.set(device, known);
    return known;
  }

  /** It ignores what it is assigned: none of its lanes takes the retry, and it verifies nothing. */
  private rest(): void {
    this.restsUntilMs = this.modules.clock.nowMs() + REST_MS;
    const why = "its host ignores what it is assigned";
    for (const { lane } of this.used()) lane.rest(this.restsUntilMs, why);
  }

  /** Passes the lane's newest report to the dispatcher, if the lane may be used. */
  private admit(known: KnownLane): void {
    const { lane } = known;
    const { report } = lane;
    if (report === undefined) return;
    const nowMs = this.modules.clock.nowMs();
    const systems = this.used().flatMap((each) => each.lane.system ?? []);
    const refusal = refusalOf(lane.system, systems, this.modules.distrust(this.id));
    known.refusal = refusal;
    this.noteLeftOut();
    if (refusal !== undefined) {
      lane.leftOut();
      return this.dismiss(known, `lane host ${this.id} is left out: ${refusal.why}`);
    }
    // The schedule knows one lane of a device: the one before, until its results are taken.
    if (toPeer(this.peerClock, nowMs, nowMs) === undefined || this.left.has(lane.device)) return;
    if (!known.isAdded) {
      known.isAdded = true;
      this.modules.listener.added(lane);
      this.modules.changed();
    }
    this.modules.drained(lane.deviceId, report.isDrained);
    lane.announced(report);
  }

  private noteLeftOut(): void {
    const before = this.refusal;
    const [refusal] = [...this.lanes.values()].flatMap((each) => each.refusal ?? []);
    this.refusal = refusal;
    if (refusal?.why === before?.why) return;
    const { log } = this.modules;
    if (refusal === undefined) log.info({ host: this.id }, "lane host is used");
    else log.warn({ host: this.id, why: refusal.why }, "lane host is left out");
    this.modules.changed();
  }

  private takeEnded({ run, device, attempt, result }: Extract<ToDoor, { kind: "ended" }>): void {
    if (run !== this.run) return;
    if (this.lanes.get(device)?.lane.endedAt(result, attempt) === true) return;
    if (this.left.had(run, attempt, this.modules.clock.nowMs())) return;
    this.wire.fault("unassigned", `device ${device} was not given attempt ${attempt}`);
  }

  private apply(effect: HostEffect, runBefore: string): void {
    switch (effect.kind) {
      case "ping":
        this.modules.askEngine();
        return void this.ping();
      case "joined":
        this.peerClock = unheardClock;
        this.gone = new AbortController();
        this.otherVersion = undefined;
        this.refusal = undefined;
        this.modules.log.info({ host: this.id, run: effect.run }, "lane host is heard");
        return this.modules.changed();
      case "twin":
        return this.wire.fault("shared_id", twinText(this.id, this.run, effect.run));
      case "gone":
        return this.leave(effect.cause, runBefore, effect.silentMs);
      default:
        return assertNever(effect);
    }
  }

  private async ping(): Promise<void> {
    const { run } = this;
    try {
      const answer = await this.wire.request({ kind: "ping" }, PING_MS);
      const decoded = this.wire.received(answer, decodeFromHost);
      if (decoded.kind === "message" && decoded.message.kind === "beat") this.take(decoded.message);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.kind === "gone" && this.run === run) this.step({ kind: "nobody" });
    }
  }

  private leave(cause: GoneCause, run: string, silentMs: number): void {
    const { log, metrics, clock } = this.modules;
    const used = this.used();
    const attempts = used.reduce((sum, { lane }) => sum + lane.atHost, 0);
    const devices = used.map(({ lane }) => lane.deviceId);
    metrics.gone.inc({ cause });
    metrics.attemptsGone.inc(attempts);
    const line = { host: this.id, run, cause, silentMs: Math.round(silentMs), devices, attempts };
    if (attempts === 0 && cause === "ended") log.info(line, "lane host is gone");
    else log.warn(line, "lane host is gone");
    this.gone.abort();
    const known = [...this.lanes.values()];
    this.lanes.clear();
    this.refusal = undefined;
    const heardAtMs = clock.nowMs() - silentMs;
    const last = { id: this.id, run, heardAtMs, offsetMs: undefined, deviceIds: devices, attempts };
    this.modules.left({ ...last, state: "gone", cause: goneTexts[cause] });
    const why = `lane host ${this.id} ${goneTexts[cause]}`;
    const numbers = known.flatMap(({ lane }) => lane.numbers);
    this.left.note(run, numbers, clock.nowMs());
    // None of them takes the retry of what another one had.
    for (const { lane, isAdded } of known) if (isAdded) lane.goneWithHost(why);
    for (const each of known) {
      if (each.isAdded) this.left.add(each.lane, () => this.dismiss(each, why));
    }
    this.modules.changed();
  }

  private dismiss(known: KnownLane, why: string): void {
    if (!known.isAdded) return;
    known.isAdded = false;
    known.lane.close();
    this.modules.listener.gone(known.lane.deviceId, why);
    this.modules.changed();
  }
}
