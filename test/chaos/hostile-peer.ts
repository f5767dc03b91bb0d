/** A peer of the fleet with a certificate of its own that says whatever a test wants, at a real engine. */
import type { Engine } from "../../server/engine/engine.js";
import {
  decodeFromHost,
  FleetMessageError,
  decodeToHost,
  encodeFromHost,
  encodeToDoor,
  encodeToHost,
} from "../../server/fleet/wire/codec.js";
import type { FromHost, SharedReport, ToDoor, ToHost } from "../../server/fleet/wire/messages.js";
import { senderOf, subjects } from "../../server/fleet/wire/subjects.js";

type Without<Message, Key extends PropertyKey> = Message extends unknown
  ? Omit<Message, Key>
  : never;
type Assign = Extract<ToHost, { kind: "assign" }>;

const names = subjects("main");
const BEAT_MS = 100;

/** With a lane host's certificate. It beats, announces one idle lane, and answers as its test says. */
export class HostileHost {
  readonly run = "00000000000000e0";
  /** Assignments that came, by the door that sent them. */
  readonly assigned: { door: string; assign: Assign }[] = [];
  /** What becomes of an assignment. */
  onAssign: (door: string, assign: Assign) => void = () => undefined;
  /** Its clock; a liar's jumps. */
  nowMs = () => performance.now();
  private lease = 1;
  private sequence = 0;
  private timers: NodeJS.Timeout[] = [];

  constructor(
    readonly engine: Engine,
    readonly id: string,
    private readonly report: SharedReport,
  ) {
    engine.subscribe(names.toHost(id, "*"), ({ subject, bytes, answer }) => {
      const message = decodeToHost(bytes);
      if (message.kind === "ping") return answer?.(encodeFromHost(this.beat()));
      if (message.kind !== "assign") return;
      const door = senderOf(subject);
      this.assigned.push({ door, assign: message });
      this.onAssign(door, message);
    });
  }

  /** Beats, and announces its lane. */
  join(): void {
    const beats = setInterval(() => this.publish(this.beat()), BEAT_MS);
    const news = setInterval(() => this.announce(), 5 * BEAT_MS);
    this.timers.push(beats, news);
    this.announce();
  }

  leave(): void {
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    this.publish({ kind: "bye", run: this.run });
  }

  announce(change: Partial<SharedReport> = {}, device = "cpu"): void {
    const report = { ...this.report, lease: this.lease, ...change };
    this.publish({ kind: "announce", run: this.run, device, sequence: ++this.sequence, report });
  }

  /** Uses the lease up, and offers the lane anew. */
  nextLease(): void {
    this.lease++;
    this.announce();
  }

  publish(message: FromHost, as = this.id): void {
    this.engine.publish(names.fromHost(as), encodeFromHost(message));
  }

  tell(door: string, message: Without<ToDoor, "run">, as = this.id): void {
    this.engine.publish(names.toDoor(door, as), encodeToDoor({ ...message, run: this.run }));
  }

  private beat(): FromHost {
    return { kind: "beat", run: this.run, nowMs: this.nowMs() };
  }
}

/** With a door's certificate: hears what hosts publish, and sends them what its test says. */
export class HostileDoor {
  readonly run = "00000000000000d9";
  /** The newest report and the run of each host. */
  readonly hosts = new Map<string, { run: string; report: SharedReport | undefined }>();

  constructor(
    readonly engine: Engine,
    readonly id: string,
  ) {
    engine.subscribe(names.fromHost("*"), ({ subject, bytes }) => {
      const host = senderOf(subject);
      const message = readable(bytes);
      if (message === undefined) return;
      const before = this.hosts.get(host)?.report;
      const report = message.kind === "announce" ? message.report : before;
      this.hosts.set(host, { run: message.run, report });
    });
  }

  send(host: string, message: Without<ToHost, "run" | "hostRun">, as = this.id): void {
    const hostRun = this.hosts.get(host)?.run ?? "";
    const bytes = encodeToHost({ ...message, run: this.run, hostRun });
    this.engine.publish(names.toHost(host, as), bytes);
  }
}

/** Other hostile peers send garbage. */
function readable(bytes: Uint8Array): FromHost | undefined {
  try {
    return decodeFromHost(bytes);
  } catch (error) {
    if (error instanceof FleetMessageError) return undefined;
    throw error;
  }
}
