/**
 * Records requests, the ends of their groups and what the live page is shown in a folder, for
 * `lean-aggregator replay` and `page`, and for the judge of the schedule. A call only puts its record into a queue; it is encoded and written after
 * the call has been answered. Bounded in bytes: the oldest file goes. A record for which
 * there is no room, that cannot be encoded, or that the reader would refuse, is left out and counted. What cannot be written
 * ends the recording with one line in the log, and never a call.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { StreamActivityResponseSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type {
  Component,
  Group,
  Outcome,
  SubmitSnapshotRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../clock.js";
import { settledWithin } from "../clock.js";
import { fileReason } from "../files/file-reason.js";
import { safeParse } from "../json/safe-parse.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import { RareLog } from "../log/rare-log.js";
import type { DecodedGroup } from "../work/group.js";
import { shapeOf } from "../work/shape.js";
import type { Envelope, SubmitAnswer } from "../work/submission.js";
import type {
  ActivityRecord,
  AnyRecord,
  LostRecord,
  OutcomeRecord,
  Recording,
  SubmissionRecord,
} from "./records.js";
import { RECORDING_VERSION, recordSchema } from "./records.js";
import { RecordingFiles } from "./recording-files.js";

export interface RecorderOptions {
  folder: string;
  /** Most bytes of all files together. */
  bytesMax: number;
  /** `shapes`: without public keys, signatures and proofs; enough for a simulation. */
  content: Recording["content"];
  /** Version and run of the service, and the number of its devices. */
  service: string;
  run: string;
  devices: number;
}

/** A snapshot that was accepted or skipped. */
export interface Submitted {
  request: SubmitSnapshotRequest;
  /** The request in binary, as received; undefined when it came in JSON. */
  received: Uint8Array | undefined;
  envelope: Envelope;
  answer: SubmitAnswer;
}

/** A group that has ended. */
export interface Ended {
  nodeId: string;
  requestId: string;
  outcome: Outcome;
  group: DecodedGroup;
}

/** One record to write: its line, and the bytes that follow it. */
interface Entry {
  line: AnyRecord;
  body?: () => Uint8Array;
  /** Memory that the entry keeps until it is written, approximately. */
  heldBytes: number;
}

const ENTRY_BYTES = 1024;

/** How many records of each kind are missing. */
type Lost = Omit<LostRecord, "kind" | "atMs">;
const nothingLost: Lost = { requests: 0, outcomes: 0, answers: 0 };
const lostAs = { submission: "requests", outcome: "outcomes", activity: "answers" } as const;

export class Recorder {
  private readonly files: RecordingFiles;
  private readonly startedUnixMs: number;
  private readonly startedAtMs: number;
  private queue: Entry[] = [];
  private heldBytes = 0;
  /** Since the last record that says so. */
  private lost = nothingLost;
  private requests = 0;
  private readonly rareLog: RareLog;
  private state: "open" | "stopped" = "open";
  private writing: Promise<void> | undefined;

  /** Makes the folder. Throws the system's error when it cannot be used. */
  constructor(
    private readonly options: RecorderOptions,
    private readonly modules: { clock: Clock; log: Logger },
  ) {
    const { clock } = modules;
    this.rareLog = new RareLog(modules);
    const { service, run, devices, content, ...where } = options;
    const head = { kind: "recording", version: RECORDING_VERSION, service, run, devices, content };
    this.files = new RecordingFiles(where, encodeLine(head));
    this.startedUnixMs = clock.unixMs();
    this.startedAtMs = clock.nowMs();
  }

  /** False once it is closed, or nothing more can be written. */
  get isOpen(): boolean {
    return this.state === "open";
  }

  submitted({ request, received, envelope, answer }: Submitted): void {
    if (this.state !== "open") return;
    const size = received?.length ?? envelope.bytes;
    const { principal, nodeId, requestId, receivedAtMs, accepted } = envelope;
    const line: SubmissionRecord = {
      kind: "submission",
      atMs: this.instant(receivedAtMs),
      principal: principal.name,
      node: nodeId,
      requestId: answer.kind === "accepted" ? answer.accepted.requestId : requestId,
      answer: answer.kind,
      reason: answer.kind === "skipped" ? answer.reason : "",
      deadlineMs: accepted.deadlineMs,
      fenceMs: accepted.fenceMs,
      bytes: 0,
    };
    const body = () => {
      if (this.options.content === "shapes") return encode(shapesOf(request));
      return received ?? encode(request);
    };
    if (this.add({ line, body, heldBytes: size + ENTRY_BYTES })) this.requests++;
  }

  ended({ nodeId, requestId, outcome, group }: Ended): void {
    if (this.state !== "open") return;
    const { status, reason, queueMs, proveMs, attempt, votes } = outcome;
    const isProved = status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
    const line: OutcomeRecord = {
      kind: "outcome",
      atMs: this.instant(this.modules.clock.nowMs()),
      node: nodeId,
      requestId,
      group: outcome.groupIndex,
      status: OutcomeStatus[status].toLowerCase(),
      reason: reason === OutcomeReason.UNSPECIFIED ? "" : OutcomeReason[reason].toLowerCase(),
      queueMs,
      proveMs,
      attempts: attempt,
      raws: isProved ? rawsIn(outcome, group) : 0,
      children: isProved ? childrenIn(outcome, group) : 0,
      proved: votes === undefined ? [] : [...votes.proved],
      votes: group.votes,
    };
    this.add({ line, heldBytes: ENTRY_BYTES });
  }

  /**
   * Resolves once the answer of `StreamActivity` is written, or the recording is stopped, but does not wait
   * longer for a disk than its end does.
   */
  async seen(answer: MessageInitShape<typeof StreamActivityResponseSchema>): Promise<void> {
    if (this.state !== "open") return;
    const atMs = this.instant(answer.nowMs ?? 0);
    const line: ActivityRecord = { kind: "activity", atMs, bytes: 0 };
    const body = () =>
      toBinary(StreamActivityResponseSchema, create(StreamActivityResponseSchema, answer));
    this.add({ line, body, heldBytes: limits.recordedAnswerBytesMax });
    await settledWithin(this.modules.clock, limits.diskTakeMsMax, this.written());
  }

  /**
   * Writes what waits, for up to two seconds, and closes the file. Never rejects.
   * @param last resolves once all records have been added; the two seconds include it
   */
  async close(last?: Promise<void>): Promise<void> {
    const { clock, log } = this.modules;
    await settledWithin(clock, limits.diskTakeMsMax, this.finish(last));
    this.state = "stopped";
    if (this.writing === undefined) return;
    const { folder } = this.options;
    const { requests, outcomes, answers } = this.lost;
    const records = 1 + this.queue.length + requests + outcomes + answers;
    this.queue = [];
    log.error({ folder, records }, "the last records of the recording are lost");
  }

  /** Rejects only as `last` does. */
  private async finish(last?: Promise<void>): Promise<void> {
    await last;
    await this.written();
    this.state = "stopped";
    await this.files.close().catch(() => undefined);
  }

  private async written(): Promise<void> {
    await this.writing;
  }

  private instant(atMs: number): number {
    return Math.round((this.startedUnixMs + atMs - this.startedAtMs) * 1000) / 1000;
  }

  /** Queues the entry; false when there is no room for it. */
  private add(entry: Entry): boolean {
    const heldBytes = this.heldBytes + entry.heldBytes;
    const hasRoom = heldBytes <= limits.recordPendingBytesMax;
    if (hasRoom) {
      this.queue.push(entry);
      this.heldBytes = heldBytes;
    } else this.lose(entry.line);
    this.writing ??= this.writeAll();
    return hasRoom;
  }

  private lose({ kind }: AnyRecord): void {
    if (kind === "recording" || kind === "lost") return;
    const { lost } = this;
    const as = lostAs[kind];
    this.lost = { ...lost, [as]: lost[as] + 1 };
  }

  /** Never rejects. */
  private async writeAll(): Promise<void> {
    try {
      // The call is answered first.
      await new Promise(setImmediate);
      for (;;) {
        const entry = this.nextEntry();
        if (entry === undefined) break;
        if (!(await this.write(entry))) this.lose(entry.line);
        this.heldBytes -= entry.heldBytes;
      }
    } catch (error) {
      this.stop(error);
    } finally {
      this.writing = undefined;
    }
  }

  /** False for an entry that is left out. Rejects when nothing can be written. */
  private async write(entry: Entry): Promise<boolean> {
    let body: Uint8Array | undefined;
    try {
      body = entry.body?.();
    } catch (error) {
      this.rareLog.warn("encode", { err: error }, "a record of the recording cannot be encoded");
      return false;
    }
    const line = body === undefined ? entry.line : { ...entry.line, bytes: body.length };
    if (!safeParse(recordSchema, line).success) return false;
    return this.files.append(encodeLine(line), body);
  }

  private nextEntry(): Entry | undefined {
    const { lost, modules } = this;
    if (lost === nothingLost) return this.queue.shift();
    this.lost = nothingLost;
    const text =
      "records came too fast, are too large or cannot be encoded; they are left out of the recording";
    this.rareLog.warn("lost", { ...lost }, text);
    const atMs = this.instant(modules.clock.nowMs());
    return { line: { kind: "lost", atMs, ...lost }, heldBytes: 0 };
  }

  private stop(error: unknown): void {
    if (this.state === "stopped") return;
    this.state = "stopped";
    this.queue = [];
    this.heldBytes = 0;
    const { folder } = this.options;
    const line = { folder, requests: this.requests, reason: fileReason(error, folder) };
    this.modules.log.error(line, "recording stopped, the service goes on: free space and restart");
  }
}

const encode = (request: SubmitSnapshotRequest) => toBinary(SubmitSnapshotRequestSchema, request);

function encodeLine(line: object): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

const NOTHING = new Uint8Array(0);

function shapeOfComponent(component: Component): Component {
  const { from } = component;
  if (from.case === "proof") return { ...component, from: { case: "proof", value: NOTHING } };
  if (from.case === undefined) return component;
  const signatures = from.value.signatures.map((raw) => ({ ...raw, signature: NOTHING }));
  return { ...component, from: { case: "raws", value: { ...from.value, signatures } } };
}

/** The request without public keys, signatures and proofs. */
function shapesOf(request: SubmitSnapshotRequest): SubmitSnapshotRequest {
  const { snapshot } = request;
  if (snapshot === undefined) return request;
  const groups = snapshot.groups.map((group): Group => {
    const rawSignatures = group.rawSignatures.map((raw) => ({ ...raw, signature: NOTHING }));
    const children = group.children.map((child) => ({ ...child, proof: NOTHING }));
    const components = group.components.map(shapeOfComponent);
    return { ...group, rawSignatures, children, components };
  });
  return { ...request, snapshot: { ...snapshot, keys: [], groups } };
}

/** Number of proofs in the group's proof. */
function childrenIn({ childrenFolded }: Outcome, { work }: DecodedGroup): number {
  return work.kind === "merge" ? shapeOf(work).children : childrenFolded.length;
}

/** Number of raw signatures in the group's proof. */
function rawsIn({ leftOut }: Outcome, { work }: DecodedGroup): number {
  const after = leftOut.filter(({ input }) => input.case === "validatorIndex").length;
  const before = work.leftOut.filter(({ input }) => input.kind === "raw").length;
  return Math.max(0, shapeOf(work).raws - (after - before));
}
