/**
 * A lane host: offers the lanes of this process to every door of its cell, over the engine. Publishes
 * beats and announcements, and takes what doors send, which is untrusted: nothing that comes throws,
 * and what no correct door sends is counted. docs/adr/0018-the-fleet.md has the rules.
 */
import type { AuditTrail } from "../../audit/audit-log.js";
import type { Clock } from "../../clock.js";
import type { Engine, EngineMessage } from "../../engine/engine.js";
import type { LocalLanes } from "../../lane/local-lanes.js";
import type { Logger } from "../../log/log.js";
import type { RequestChunk } from "../wire/blobs.js";
import {
  decodeToHost,
  encodeChunk,
  encodeFromHost,
  encodeToDoor,
  encodeVerdict,
} from "../wire/codec.js";
import { DoorTraffic } from "./door-traffic.js";
import { HostLane } from "./host-lane.js";
import type { HostMetrics } from "./host-metrics.js";
import { HostVerify } from "./host-verify.js";
import type { FromHost, Peer, ToHost } from "../wire/messages.js";
import { senderOf, subjects, tokenPattern } from "../wire/subjects.js";

const BEAT_MS = 100;
/** Without a beat for longer, the host is stuck. */
const STUCK_MS = 5000;
/** How often a lane that drains is looked at. */
const QUIET_POLL_MS = 20;

export interface LaneHostOptions {
  readonly cell: string;
  /** This host, in this run. */
  readonly host: Peer;
}

export interface LaneHostModules {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: HostMetrics;
  /** Undefined when no audit record is kept. */
  readonly audit?: AuditTrail | undefined;
  readonly engine: Engine;
  readonly lanes: Pick<LocalLanes, "open" | "spareVerifier">;
}

type State = "open" | "draining" | "closed";

export class LaneHost {
  private readonly lanes = new Map<string, HostLane>();
  private readonly traffic: DoorTraffic;
  private readonly verifying: HostVerify;
  private readonly subjects: ReturnType<typeof subjects>;
  private state: State = "open";
  private unsubscribe = () => {};
  private cancelBeat = () => {};
  private lastBeatAtMs: number | undefined;

  constructor(
    private readonly options: LaneHostOptions,
    private readonly modules: LaneHostModules,
  ) {
    const { clock, metrics, audit, lanes, engine } = modules;
    this.traffic = new DoorTraffic(modules);
    const spareVerifier = (system?: string) => lanes.spareVerifier(system);
    this.verifying = new HostVerify({ clock, metrics, audit, spareVerifier });
    this.subjects = subjects(options.cell);
    metrics.engineUp.readBy(() => (engine.status.isUp ? 1 : 0));
  }

  /** Sets provers up, and offers their lanes from now on. */
  open(): void {
    const { clock, engine, lanes } = this.modules;
    const { id } = this.options.host;
    this.unsubscribe = engine.subscribe(this.subjects.toHost(id, "*"), (message) =>
      this.hear(message),
    );
    // Doors wait for announcements after a time without the engine: the next ones come by themselves.
    lanes.open({
      added: (link) => {
        this.lanes.set(
          link.deviceId,
          new HostLane(link, {
            ...this.modules,
            audit: this.modules.audit,
            announce: (device, sequence, report) =>
              this.publish({ kind: "announce", device, sequence, report }),
            tell: (owner, device, result) => {
              const { attempt, run: doorRun } = owner;
              const { run } = this.options.host;
              const ended = { kind: "ended", device, attempt, result, run, doorRun } as const;
              engine.publish(this.subjects.toDoor(owner.id, id), encodeToDoor(ended));
            },
            chunksOf: (door) => this.chunksOf(door),
            fault: (door, detail) => this.traffic.fault(door, detail),
          }),
        );
      },
      heard: (deviceId, message) => this.lanes.get(deviceId)?.hearLane(message),
      gone: () => undefined, // no lane of this process ever goes
    });
    this.beatAt(clock.nowMs());
  }

  /** Why no lane can prove now, for people; undefined when one can, or is about to. */
  whyNoLane(): string | undefined {
    if (this.state !== "open") return "draining";
    const heard = [...this.lanes.values()].flatMap((lane) => lane.heard ?? []);
    const isUp = heard.some(({ phase, isDrained, isStandbyReady }) => {
      const isTurning = phase.kind === "stopping" && isStandbyReady;
      return !isDrained && (phase.kind === "idle" || phase.kind === "proving" || isTurning);
    });
    if (isUp) return undefined;
    const failed = heard.flatMap(({ phase }) => (phase.kind === "failed" ? [phase.cause] : []));
    if (failed[0] !== undefined) return `no prover: ${failed[0]}`;
    return heard.some(({ isDrained }) => isDrained) ? "drained" : "provers are starting";
  }

  /** What no longer goes on, for people; undefined while all does. */
  whyStuck(): string | undefined {
    const { lastBeatAtMs } = this;
    if (this.state === "closed" || lastBeatAtMs === undefined) return undefined;
    const silentMs = this.modules.clock.nowMs() - lastBeatAtMs;
    return silentMs > STUCK_MS ? `no beat for ${Math.round(silentMs)} ms` : undefined;
  }

  /**
   * Drains every lane: resolves once no attempt has one, or after `drainMs`. What runs has until its
   * fence, and its owners get the results.
   */
  async drain(drainMs: number): Promise<void> {
    if (this.state !== "open") return;
    this.state = "draining";
    const { clock } = this.modules;
    for (const lane of this.lanes.values()) lane.step({ kind: "close" });
    const untilMs = clock.nowMs() + drainMs;
    while (clock.nowMs() < untilMs && [...this.lanes.values()].some((lane) => lane.isTaken)) {
      await new Promise<void>((resolve) => clock.at(clock.nowMs() + QUIET_POLL_MS, resolve));
    }
  }

  /** Says goodbye, and hears no door any more. Idempotent. */
  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.cancelBeat();
    this.unsubscribe();
    for (const lane of this.lanes.values()) lane.close();
    this.publish({ kind: "bye" });
  }

  /** Beats stand on a grid from the first one on, so that they do not drift. */
  private beatAt(atMs: number): void {
    const { clock } = this.modules;
    this.publish(this.beat());
    this.lastBeatAtMs = clock.nowMs();
    const late = Math.max(0, Math.floor((clock.nowMs() - atMs) / BEAT_MS));
    const nextMs = atMs + (late + 1) * BEAT_MS;
    this.cancelBeat = clock.at(nextMs, () => this.beatAt(nextMs));
  }

  private beat(): FromHostMessage {
    return { kind: "beat", nowMs: this.modules.clock.nowMs() };
  }

  private publish(message: FromHostMessage): void {
    const { id, run } = this.options.host;
    this.modules.engine.publish(this.subjects.fromHost(id), encodeFromHost({ ...message, run }));
  }

  private chunksOf(door: Peer): RequestChunk {
    const { id, run } = this.options.host;
    return (fetch, timeoutMs) => {
      const question = encodeToDoor({ ...fetch, run, doorRun: door.run });
      return this.modules.engine.request(this.subjects.toDoor(door.id, id), question, timeoutMs);
    };
  }

  private hear({ subject, bytes, answer }: EngineMessage): void {
    const id = senderOf(subject);
    if (!tokenPattern.test(id) || this.state === "closed") return;
    const message = this.traffic.take(id, bytes, decodeToHost);
    if (message === undefined) return;
    if (message.kind === "ping") {
      return answer?.(encodeFromHost({ ...this.beat(), run: this.options.host.run }));
    }
    // Meant for this host's earlier run.
    if (message.hostRun !== this.options.host.run) return;
    this.take({ id, run: message.run }, message, answer);
  }

  private take(door: Peer, message: ToHost, answer: EngineMessage["answer"]): void {
    switch (message.kind) {
      case "assign":
      case "adopt":
      case "kill":
      case "command":
        return this.lanes.get(message.device)?.step({ ...message, door });
      case "fetch": {
        const { sha256, offset } = message;
        for (const lane of this.lanes.values()) {
          const chunk = lane.chunk(door.id, sha256, offset);
          if (chunk.length > 0) return answer?.(encodeChunk(chunk));
        }
        return answer?.(encodeChunk(new Uint8Array(0)));
      }
      case "verify":
        if (answer === undefined) return;
        // `verify` never rejects.
        void this.verifying
          .verify(door.id, message, this.chunksOf(door))
          .then((verdict) => answer(encodeVerdict(verdict)));
        return;
      case "ping":
        return;
    }
  }
}

/** What the host publishes, without its run. */
type FromHostMessage = WithoutRun<FromHost>;
type WithoutRun<Message> = Message extends FromHost ? Omit<Message, "run"> : never;
