/**
 * What a recording consists of. A recording is a folder of files; each file is a list of records. A
 * record is one line of JSON and, where the line names `bytes`, so many bytes and a newline after it.
 * The first record of a file says who wrote it. Instants (`atMs`) are milliseconds of 1970, counted
 * by the monotonic clock of the run.
 */
import { z } from "zod";
import { limits } from "../limits.js";

/** Raised with every change that an older reader would misread. */
export const RECORDING_VERSION = 2;
/** A file of a recording, in the order in which they were written. */
export const recordingFile = /^[0-9]{8}\.rec$/;

const instant = z.number().min(0).max(1e15);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const name = z.string().max(256);
const votes = z.array(count).max(limits.stepsMax + 1);

const head = z.object({
  kind: z.literal("recording"),
  version: z.literal(RECORDING_VERSION, `expected ${RECORDING_VERSION}: made by another version`),
  /** Version and run of the service. */
  service: name,
  run: name,
  /** Number of its own devices. */
  devices: count.max(4096),
  content: z.enum(["full", "shapes"]),
});

const submission = z.object({
  kind: z.literal("submission"),
  atMs: instant,
  /** The caller, as the policy names it. */
  principal: name,
  node: name,
  /** As answered; of a snapshot that was skipped, as submitted. */
  requestId: name,
  answer: z.enum(["accepted", "skipped"]),
  /** Why it was skipped; empty otherwise. */
  reason: name,
  /** In force, in milliseconds from `atMs`. */
  deadlineMs: z.number().min(0).max(limits.deadlineMsMax),
  fenceMs: z.number().min(0).max(limits.fenceMsMax),
  /** Size of the `SubmitSnapshotRequest` in binary that follows. */
  bytes: count.max(limits.snapshotBytesMax),
});

const outcome = z.object({
  kind: z.literal("outcome"),
  atMs: instant,
  node: name,
  requestId: name,
  group: count.max(limits.groupsSentMax),
  status: name,
  /** Why it was not proved; empty otherwise. */
  reason: name,
  queueMs: z.number().min(0),
  proveMs: z.number().min(0),
  attempts: count,
  /** Inputs of the proof; 0 and 0 without one. */
  raws: count,
  children: count,
  /** Votes in the proof, by step; and all votes of the group. */
  proved: votes,
  votes: count,
});

/** What the live page was shown, for `lean-aggregator page`. */
const activity = z.object({
  kind: z.literal("activity"),
  atMs: instant,
  /** Size of the `StreamActivityResponse` in binary that follows. */
  bytes: count.max(limits.recordedAnswerBytesMax),
});

/** How many records are missing: they came faster than they could be written, or are too large. */
const lost = z.object({
  kind: z.literal("lost"),
  atMs: instant,
  requests: count,
  /** Recordings of earlier versions name none. */
  outcomes: count.default(0),
  /** What the live page was shown. */
  answers: count.default(0),
});

export const recordSchema = z.discriminatedUnion("kind", [
  head,
  submission,
  outcome,
  activity,
  lost,
]);

export type Recording = z.infer<typeof head>;
export type SubmissionRecord = z.infer<typeof submission>;
export type OutcomeRecord = z.infer<typeof outcome>;
export type ActivityRecord = z.infer<typeof activity>;
export type LostRecord = z.infer<typeof lost>;
export type AnyRecord = z.infer<typeof recordSchema>;
