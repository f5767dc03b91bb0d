/** A door that does what a test says, over any engine. It hears one lane host. */
import type { Engine, EngineMessage } from "../../../server/engine/engine.js";
import { blobOf } from "../../../server/fleet/wire/blobs.js";
import {
  decodeFromHost,
  decodeToDoor,
  encodeChunk,
  encodeToHost,
  encodeWork,
} from "../../../server/fleet/wire/codec.js";
import type {
  FromHost,
  Peer,
  SharedReport,
  ToDoor,
  ToHost,
} from "../../../server/fleet/wire/messages.js";
import { CHUNK_BYTES } from "../../../server/fleet/wire/messages.js";
import { subjects } from "../../../server/fleet/wire/subjects.js";
import type { FoldWork, GroupWork } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { fakeSignature } from "../../../server/prover/fake/fake.js";
import { publicKey, rootOf } from "../../../tools/harness/vectors.js";

type Without<M> = M extends ToHost ? Omit<M, "run" | "hostRun"> : never;
export type DoorMessage = Without<ToHost>;
type Ended = Extract<ToDoor, { kind: "ended" }>;

/** One raw signature; `validator` tells works apart. */
export function workOf(validator: number): FoldWork {
  const keys = publicKey(validator);
  const message = { root: rootOf(0), slot: 100 };
  const signatures = fakeSignature(keys, message.root, message.slot);
  const raws = { validators: [validator], keys, signatures };
  return { kind: "fold", message, raws, children: [], leftOut: [], logInvRate: 0 };
}

export class ScriptedDoor {
  readonly door: Peer;
  /** The newest report of each device. */
  readonly reports = new Map<string, SharedReport>();
  readonly heard: FromHost[] = [];
  readonly ended: Ended[] = [];
  hostRun = "";
  /** The host's clock less this process's at the last beat. */
  private offsetMs = 0;
  private readonly kept = new Map<string, Uint8Array>();
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly engine: Engine,
    id: string,
    private readonly host: string,
    private readonly nowMs: () => number,
  ) {
    this.door = { id, run: id.slice(0, 1).repeat(16) };
    const { fromHost, toDoor } = subjects("main");
    engine.subscribe(fromHost(host), (message) => this.hearHost(message));
    engine.subscribe(toDoor(id, host), (message) => this.hearOwn(message));
  }

  /** Resolves once it holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((wake) => this.watchers.add(wake));
  }

  async untilPhase(device: string, kind: SharedReport["phase"]["kind"]): Promise<SharedReport> {
    await this.until(() => this.reports.get(device)?.phase.kind === kind);
    return this.report(device);
  }

  report(device: string): SharedReport {
    const report = this.reports.get(device);
    if (report === undefined) throw new Error(`device ${device} was not heard`);
    return report;
  }

  send(message: DoorMessage): void {
    this.engine.publish(this.subject, this.encoded(message));
  }

  request(message: DoorMessage): Promise<Uint8Array> {
    return this.engine.request(this.subject, this.encoded(message), 2000);
  }

  /** Assigns under the lease that was announced last, with times from now. */
  assign(device: string, attempt: number, work: GroupWork, fenceInMs: number, isInline = true) {
    const bytes = encodeWork(work);
    const blob = blobOf(bytes);
    this.kept.set(blob.sha256, bytes);
    const fenceAtMs = this.nowMs() + this.offsetMs + fenceInMs;
    this.send({
      kind: "assign",
      device,
      lease: this.report(device).lease,
      attempt,
      assignment: {
        work: isInline ? blob : { ...blob, inline: undefined },
        digest: this.digestOf(device, work),
        deadlineAtMs: fenceAtMs,
        fenceAtMs,
        isFirstOfSession: true,
        steps: [],
        isExploration: true,
        isRetry: false,
        mayShed: false,
        minInputs: 1,
        rotation: 0,
      },
    });
  }

  adopt(device: string, attempt: number, work: GroupWork, fenceInMs: number): void {
    const fenceAtMs = this.nowMs() + this.offsetMs + fenceInMs;
    this.send({ kind: "adopt", device, attempt, digest: this.digestOf(device, work), fenceAtMs });
  }

  private digestOf(device: string, work: GroupWork): string {
    const { description } = this.report(device);
    if (description === null) throw new Error(`device ${device} has not described itself`);
    return inputDigest(work, description);
  }

  async untilEnded(attempt: number): Promise<Ended> {
    await this.until(() => this.ended.some((each) => each.attempt === attempt));
    const found = this.ended.find((each) => each.attempt === attempt);
    if (found === undefined) throw new Error("it has ended");
    return found;
  }

  private get subject(): string {
    return subjects("main").toHost(this.host, this.door.id);
  }

  private encoded(message: DoorMessage): Uint8Array {
    const hostRun = message.kind === "ping" ? "" : this.hostRun;
    return encodeToHost({ ...message, run: this.door.run, hostRun });
  }

  private hearHost({ bytes }: EngineMessage): void {
    const message = decodeFromHost(bytes);
    this.hostRun = message.run;
    this.heard.push(message);
    if (message.kind === "beat") this.offsetMs = message.nowMs - this.nowMs();
    if (message.kind === "announce") this.reports.set(message.device, message.report);
    this.wake();
  }

  private hearOwn({ bytes, answer }: EngineMessage): void {
    const message = decodeToDoor(bytes);
    if (message.kind === "ended") this.ended.push(message);
    else {
      const { sha256, offset } = message;
      const found = this.kept.get(sha256) ?? new Uint8Array(0);
      answer?.(encodeChunk(found.subarray(offset, offset + CHUNK_BYTES)));
    }
    this.wake();
  }

  private wake(): void {
    for (const wake of this.watchers) wake();
    this.watchers.clear();
  }
}
