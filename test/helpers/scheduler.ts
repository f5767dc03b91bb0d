/** Admission, queue and dispatcher on virtual time, with lanes that the test speaks for. */
import { Admission } from "../../server/admission/admission.js";
import type { FromLane, LaneReport, ToLane } from "../../server/lane/lane-messages.js";
import { createLog } from "../../server/log/log.js";
import type { Logger } from "../../server/log/log.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { unknownLane } from "../../server/schedule/lane-belief.js";
import { Schedules } from "../../server/schedule/schedules.js";
import type { SchedulesOptions } from "../../server/schedule/schedules.js";
import type {
  ComponentWork,
  DecodedGroup,
  FoldWork,
  MergeWork,
  ProofResult,
} from "../../server/work/group.js";
import type { Envelope } from "../../server/work/submission.js";
import { decodedGroup } from "../../tools/harness/decoded-group.js";
import { VirtualClock } from "../../tools/sim/virtual-clock.js";

export const description = {
  backend: "test",
  scheme: "test",
  revision: "test",
  publicKeyBytes: 1,
  signatureBytes: 1,
  proofBytesMax: 1000,
  childrenMax: 0,
  messagesMax: 8,
  rates: 0,
  fake: true,
};

/** Of a lane that has proved the work of an attempt. */
export const provedResult = {
  kind: "proved",
  proof: new Uint8Array([1]),
  validators: [],
  childrenFolded: [],
  leftOut: [],
  proveMs: 100,
} satisfies ProofResult;

/** A group of so many raw signatures; `digest` says which groups are the same work. */
export function groupOfRaws(digest: string, raws: number): DecodedGroup {
  const work: FoldWork = {
    kind: "fold",
    message: { root: new Uint8Array(32), slot: 1 },
    raws: {
      validators: Array.from({ length: raws }, (_, at) => at),
      keys: new Uint8Array(raws),
      signatures: new Uint8Array(raws),
    },
    children: [],
    leftOut: [],
    logInvRate: 0,
  };
  return { ...decodedGroup(work), digest };
}

/** A merge of so many messages, with one raw signature each; `digest` as in `groupOfRaws`. */
export function mergeOfRaws(digest: string, messages: number): DecodedGroup {
  const components = Array.from({ length: messages }, (_, slot) => {
    const raws = { validators: [1], keys: new Uint8Array(1), signatures: new Uint8Array(1) };
    return { message: { root: new Uint8Array(32), slot }, from: { kind: "raws", raws } as const };
  });
  const work: MergeWork = { kind: "merge", components, leftOut: [], logInvRate: 0 };
  return { ...decodedGroup(work), digest };
}

/**
 * A merge of this one's raw signatures and of so many proofs, each with `votes` validators; `digest` says
 * which groups are the same work.
 */
export function groupOfMerge(
  digest: string,
  { raws, proofs, votes = 1 }: { raws: number; proofs: number; votes?: number },
): DecodedGroup<MergeWork> {
  const range = (count: number) => Array.from({ length: count }, (_, at) => at);
  const message = (at: number) => ({ root: new Uint8Array(32).fill(at), slot: 1 });
  const bytes = (count: number) => new Uint8Array(count);
  const children = range(proofs).map((at): ComponentWork => {
    const child = { index: at, validators: range(votes), keys: bytes(votes), proof: bytes(1) };
    return { message: message(at), from: { kind: "proof", child } };
  });
  const own = { validators: range(raws), keys: bytes(raws), signatures: bytes(raws) };
  const last: ComponentWork = { message: message(proofs), from: { kind: "raws", raws: own } };
  const components = raws === 0 ? children : [...children, last];
  return { ...decodedGroup({ kind: "merge", components, leftOut: [], logInvRate: 0 }), digest };
}

export class TestScheduler {
  readonly clock = new VirtualClock();
  readonly metrics = createMetrics();
  readonly schedules: Schedules;
  readonly memory = new MemoryBudget(1e9);
  readonly admission: Admission;
  /** What was sent to lanes, in order. */
  readonly sent: { lane: string; message: ToLane }[] = [];
  /** The texts that the schedules logged, in order. */
  readonly logged: string[] = [];
  private sequence = 0;
  private requests = 0;

  /** @param lanes devices of lanes that come at once */
  constructor(lanes: readonly string[], options: SchedulesOptions = {}) {
    const { clock, metrics, memory } = this;
    const log = recordingLog(this.logged);
    this.schedules = new Schedules(options, { clock, metrics, log });
    const { schedules } = this;
    const modules = { clock, log: createLog("silent"), metrics, schedules, memory };
    this.admission = new Admission({ instance: "00000000000000aa" }, modules);
    for (const lane of lanes) this.add(lane);
  }

  /** The default proof system's; throws before a lane has described itself. */
  get dispatcher() {
    const schedule = this.schedules.default;
    if (schedule === undefined) throw new Error("no lane has described itself yet");
    return schedule.dispatcher;
  }

  add(lane: string): void {
    this.schedules.added({
      deviceId: lane,
      send: (message) => void this.sent.push({ lane, message }),
    });
  }

  /** Submits groups of the node `nodeId`, mostly one, with 4 s to start and a fence after 6.4 s. */
  submit(nodeId: string, group: DecodedGroup | DecodedGroup[], changes: Partial<Envelope> = {}) {
    const groups = [group].flat();
    const requestId = `${++this.requests}`;
    const nowMs = this.clock.nowMs();
    const submission = {
      nodeId,
      requestId,
      contentDigest: `${requestId} ${groups.map(({ digest }) => digest).join(" ")}`,
      principal: { name: nodeId, quota: {} },
      nodeEpoch: 1n,
      slot: 1n,
      priority: 2,
      shouldReplace: false,
      mayShed: true,
      receivedAtMs: nowMs,
      deadlineAtMs: nowMs + 4000,
      fenceAtMs: nowMs + 6400,
      minInputs: 1,
      steps: [],
      bytes: 1000,
      accepted: { deadlineMs: 4000, fenceMs: 6400, deadlineSource: 1 },
      ...changes,
    };
    return this.admission.submit(submission, () => groups);
  }

  /** Prover time that the node has used lately, in milliseconds. */
  usedMs(node: string): number {
    return this.schedules.accounts.nodes.of(node, this.clock.nowMs());
  }

  hear(lane: string, message: FromLane): void {
    this.schedules.heard(lane, message);
  }

  announce(lane: string, lease: number, changes: Partial<LaneReport>): void {
    const sequence = ++this.sequence;
    const report = { ...unknownLane.report, lease, description, ...changes };
    this.hear(lane, { kind: "announce", sequence, ...report });
  }

  announceIdle(lane: string, lease: number, changes: Partial<LaneReport> = {}): void {
    this.announce(lane, lease, { phase: { kind: "idle" }, ...changes });
  }

  sentOf<Kind extends ToLane["kind"]>(kind: Kind) {
    return this.sent.flatMap(({ lane, message }) =>
      isOf(message, kind) ? [{ lane, ...message }] : [],
    );
  }

  get assignments() {
    return this.sentOf("assign");
  }

  /** The outcomes of the node so far, in order. */
  outcomes(nodeId: string) {
    const record = this.admission.node(nodeId);
    const outcomes = [];
    for (let seq = 0; ;) {
      const read = record.readAfter(seq);
      if (read === undefined) return outcomes;
      if (read === "behind") throw new Error("the record was cut");
      ({ seq } = read);
      if (read.event.kind === "outcome") outcomes.push(read.event.outcome);
    }
  }
}

function recordingLog(texts: string[]): Logger {
  const note = (...line: unknown[]) => void texts.push(String(line[1]));
  return { debug: note, info: note, warn: note, error: note };
}

function isOf<Kind extends ToLane["kind"]>(
  message: ToLane,
  kind: Kind,
): message is Extract<ToLane, { kind: Kind }> {
  return message.kind === kind;
}
