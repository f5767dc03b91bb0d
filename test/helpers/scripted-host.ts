/** A lane host that does what a test says, over an engine: beats, announces, answers, and lies. */
import { create, toBinary } from "@bufbuild/protobuf";
import { FromHostSchema } from "../../proto/gen/lean/fleet/v1/fleet_pb.js";
import type { Clock } from "../../server/clock.js";
import type { EngineMessage } from "../../server/engine/engine.js";
import type { MemoryBroker, MemoryEngine } from "../../server/engine/memory-engine.js";
import { blobOf } from "../../server/fleet/wire/blobs.js";
import {
  decodeChunk,
  decodeToHost,
  encodeChunk,
  encodeFromHost,
  encodeToDoor,
  encodeVerdict,
} from "../../server/fleet/wire/codec.js";
import type {
  FromHost,
  RemoteResult,
  SharedReport,
  ToHost,
  Verdict,
} from "../../server/fleet/wire/messages.js";
import { senderOf, subjects } from "../../server/fleet/wire/subjects.js";
import type { ProverDescription } from "../../server/work/prover-description.js";

export const CELL = "test";

export const description: ProverDescription = {
  backend: "scripted",
  scheme: "scheme",
  revision: "1",
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 0,
  childrenMax: 16,
  messagesMax: 8,
  rates: 1,
  fake: true,
};

/** The state of an idle lane with a standby. */
export const idleReport: SharedReport = {
  lease: 1,
  phase: { kind: "idle" },
  isDrained: false,
  isRestartDue: false,
  isStandbyReady: true,
  isRefreshing: false,
  standbyCause: "",
  provers: [],
  description,
  costs: [],
  memory: [],
  commandsDone: [],
  held: [],
};

export type Heard = ToHost & { readonly door: string };

export class ScriptedHost {
  engine: MemoryEngine;
  run: string;
  /** What the doors have sent, pings left out. */
  readonly heard: Heard[] = [];
  /** The answer to `verify`; undefined: none. */
  verdict: (asked: Extract<ToHost, { kind: "verify" }>) => Verdict | undefined = () => ({
    kind: "verdict",
    isValid: true,
  });
  /** What the doors may fetch, by SHA-256. */
  readonly blobs = new Map<string, Uint8Array>();
  private readonly reports = new Map<string, SharedReport>();
  private sequence = 0;
  private cancel: (() => void)[] = [];

  /** @param offsetMs its clock less that of the broker */
  constructor(
    readonly id: string,
    private readonly broker: MemoryBroker,
    private readonly clock: Clock,
    private readonly offsetMs = 0,
    runs = 1,
  ) {
    this.run = runs.toString(16).padStart(16, "0");
    this.engine = this.connect();
  }

  /** Begins to beat, and to announce these devices. */
  start(devices: Readonly<Record<string, Partial<SharedReport>>> = { cpu: {} }): this {
    for (const [device, report] of Object.entries(devices)) this.announce(device, report);
    this.every(100, () => this.beat());
    this.every(500, () => this.reports.forEach((_, device) => this.announce(device)));
    return this;
  }

  /** Ends as a killed process does. */
  async kill(): Promise<void> {
    for (const cancel of this.cancel.splice(0)) cancel();
    await this.engine.close();
  }

  /** Starts again, in another run. */
  restart(devices?: Readonly<Record<string, Partial<SharedReport>>>): this {
    this.run = (Number.parseInt(this.run, 16) + 1).toString(16).padStart(16, "0");
    this.sequence = 0;
    this.engine = this.connect();
    return this.start(devices);
  }

  /** Beats and announces no more, but listens. */
  fallSilent(): void {
    for (const cancel of this.cancel.splice(0)) cancel();
  }

  announce(device: string, change: Partial<SharedReport> = {}): void {
    const report = { ...(this.reports.get(device) ?? idleReport), ...change };
    this.reports.set(device, report);
    this.sequence++;
    this.tell({ kind: "announce", run: this.run, device, sequence: this.sequence, report });
  }

  /** Sends the door how its attempt ended. */
  end(door: { door: string; run: string }, attempt: number, result: RemoteResult): void {
    const { run, engine } = this;
    const message = {
      kind: "ended",
      run,
      doorRun: door.run,
      device: "cpu",
      attempt,
      result,
    } as const;
    engine.publish(subjects(CELL).toDoor(door.door, this.id), encodeToDoor(message));
  }

  /** Fetches a chunk of the door's. */
  async fetch(door: string, doorRun: string, sha256: string, offset: number): Promise<Uint8Array> {
    const bytes = encodeToDoor({ kind: "fetch", run: this.run, doorRun, sha256, offset });
    return decodeChunk(await this.engine.request(subjects(CELL).toDoor(door, this.id), bytes, 500));
  }

  /** The result of a proof; the bytes come along, or can be fetched. */
  proved(proof: Uint8Array, comesAlong = true): RemoteResult {
    const blob = blobOf(proof);
    this.blobs.set(blob.sha256, proof);
    const named = comesAlong ? blob : { ...blob, inline: undefined };
    return { kind: "proved", proof: named, proveMs: 5, leftOut: [] };
  }

  tell(message: FromHost): void {
    this.tellBytes(encodeFromHost(message));
  }

  /** A beat of another version of the messages. */
  tellVersion(version: number): void {
    const bytes = toBinary(FromHostSchema, create(FromHostSchema, { version, run: this.run }));
    this.tellBytes(bytes);
  }

  tellBytes(bytes: Uint8Array): void {
    this.engine.publish(subjects(CELL).fromHost(this.id), bytes);
  }

  ofKind<Kind extends ToHost["kind"]>(kind: Kind) {
    return this.heard.filter((each): each is Extract<Heard, { kind: Kind }> => each.kind === kind);
  }

  private beat(): void {
    this.tell(this.beatMessage());
  }

  private beatMessage(): FromHost {
    const nowMs = this.clock.nowMs() + this.offsetMs;
    return { kind: "beat", run: this.run, nowMs };
  }

  private connect(): MemoryEngine {
    const engine = this.broker.connect(this.id);
    engine.subscribe(subjects(CELL).toHost(this.id, "*"), (message) => this.hear(message));
    return engine;
  }

  private hear({ subject, bytes, answer }: EngineMessage): void {
    const message = decodeToHost(bytes);
    if (message.kind === "ping") return answer?.(encodeFromHost(this.beatMessage()));
    if (message.hostRun !== this.run) return;
    this.heard.push({ ...message, door: senderOf(subject) });
    if (message.kind === "fetch") {
      const { sha256, offset } = message;
      const blob = this.blobs.get(sha256) ?? new Uint8Array(0);
      answer?.(encodeChunk(blob.subarray(offset, offset + 512 * 1024)));
    } else if (message.kind === "verify") {
      const verdict = this.verdict(message);
      if (verdict !== undefined) answer?.(encodeVerdict(verdict));
    }
  }

  private every(ms: number, act: () => void): void {
    let cancel = () => {};
    const next = () => {
      cancel = this.clock.at(this.clock.nowMs() + ms, () => {
        act();
        next();
      });
    };
    act();
    next();
    this.cancel.push(() => cancel());
  }
}
