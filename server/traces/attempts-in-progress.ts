/**
 * The attempts that the open traces wait for, and what lanes do, as the activities tell: when the inputs of
 * each job were being verified, when its proof began, and when its lane left it. An attempt has one job, or
 * those of its tree. It is forgotten when the last group that waits for it has ended.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { GroupSizeSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ActivityRecord } from "../activity.js";

type Event = NonNullable<ActivityRecord["event"]>;
export type ValueOf<Case> = NonNullable<Extract<Event, { case: Case }>["value"]>;

/** The inputs of a group or of a proof. */
export type Size = MessageInitShape<typeof GroupSizeSchema>;

/** A proof that a lane makes. */
interface Proof {
  startedAtMs: number;
  size: Size;
}

/** One proof of an attempt, on one lane. */
export interface Job {
  readonly number: number;
  readonly deviceId: string;
  /** 0 where they are not known. */
  readonly cores: number;
  readonly startedAtMs: number;
  /** Undefined until the inputs are verified. */
  proof: Proof | undefined;
  /** When the lane left the job; undefined until then. */
  endedAtMs: number | undefined;
}

interface Attempt {
  /** Number of groups of open traces that wait for it. */
  waiters: number;
  readonly jobs: Job[];
}

export class AttemptsInProgress {
  private readonly attempts = new Map<number, Attempt>();
  private readonly jobs = new Map<number, Job>();
  /** What each lane does; of a lane that proves. */
  private readonly lanes = new Map<string, { job: number; proof: Proof | undefined }>();

  /** A group of an open trace waits for the attempt from now on; `left` has to follow. */
  joined({ attempt = 0, deviceId = "", cores = 0 }: ValueOf<"started">, atMs: number): void {
    const known = this.attempts.get(attempt);
    if (known !== undefined) {
      known.waiters++;
      return;
    }
    const job = this.addJob({ number: attempt, deviceId, cores, startedAtMs: atMs });
    this.attempts.set(attempt, { waiters: 1, jobs: [job] });
  }

  /** A job of a tree has started; the first has the attempt's number. */
  jobStarted(
    { attempt = 0, job: number = 0, deviceId = "", cores = 0 }: ValueOf<"job">,
    atMs: number,
  ): void {
    const tree = this.attempts.get(attempt);
    if (tree === undefined || this.jobs.has(number)) return;
    tree.jobs.push(this.addJob({ number, deviceId, cores, startedAtMs: atMs }));
  }

  /** @param atMs when the device changed: when its proof started, where one runs */
  laneChanged(
    { deviceId = "", state, attempt: number = 0, proof: size }: ValueOf<"lane">,
    atMs: number,
  ): void {
    const last = this.lanes.get(deviceId);
    const isProving = state === DeviceState.PROVING && number !== 0;
    if (last !== undefined && !(isProving && last.job === number)) {
      const left = this.jobs.get(last.job);
      if (left !== undefined) left.endedAtMs ??= atMs;
    }
    if (!isProving) {
      this.lanes.delete(deviceId);
      return;
    }
    const proof = size && { startedAtMs: atMs, size };
    this.lanes.set(deviceId, { job: number, proof });
    const job = this.jobs.get(number);
    if (job !== undefined && proof !== undefined) job.proof = proof;
  }

  /** The jobs of the attempt, in the order of their starts. */
  jobsOf(attempt: number): readonly Job[] {
    return this.attempts.get(attempt)?.jobs ?? [];
  }

  /** A group waits for the attempt no longer. */
  left(attempt: number): void {
    const known = this.attempts.get(attempt);
    if (known === undefined || --known.waiters > 0) return;
    this.attempts.delete(attempt);
    for (const { number } of known.jobs) this.jobs.delete(number);
  }

  private addJob(started: Omit<Job, "proof" | "endedAtMs">): Job {
    // A group of an open trace may join an attempt of which the proof runs already.
    const lane = this.lanes.get(started.deviceId);
    const proof = lane?.job === started.number ? lane.proof : undefined;
    const job = { ...started, proof, endedAtMs: undefined };
    this.jobs.set(job.number, job);
    return job;
  }
}
