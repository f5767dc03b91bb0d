/**
 * Mode `go`: the adapter of `clients/go` in a process of its own, which the node asks as it asks the
 * one in TypeScript. A question and its answer are a line of JSON each, through two named pipes; the
 * node waits for the answer within its tick, as a call of the adapter would. A closed pipe ends the
 * adapter's process.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import {
  SKIP_REASONS,
  type SnapshotInit,
  type SubmitAnswer,
  type TickResult,
} from "../../../../client/index.js";
import {
  OutcomeSchema,
  SnapshotSchema,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { InProcessMetrics } from "./in-process-metrics.js";
import type { ServiceAdapter } from "./service-aggregator.js";

/** Where `devnet.ts` has it built; from the repository's root. */
export const GO_PROGRAM = "out/bin/leanagg-devnet";

const count = z.int().min(0);
const reason = z.enum(SKIP_REASONS);
const submitted = z.union([
  z.strictObject({ requestId: z.string() }),
  z.strictObject({ skipped: reason }),
]);
const result = z.strictObject({
  kind: z.enum(["outcome", "duplicate", "refused", "cancelled", "lost"]),
  requestId: z.string(),
  groupIndex: count,
  slot: count,
  endpoint: z.string(),
  outcome: z.base64().optional(),
});
const taken = z.strictObject({
  results: z.array(result),
  news: z.array(z.string()),
  skips: z.partialRecord(reason, count),
  fenced: count,
  sessions: z.strictObject({ count, seconds: z.number() }),
});

export type Taken = z.infer<typeof taken>;

/** Throws where the line is not the answer to a submission. */
export function parseSubmitted(line: string): SubmitAnswer {
  const answer = submitted.parse(JSON.parse(line));
  return "skipped" in answer ? answer : { submitted: true, requestId: answer.requestId };
}

/** Throws where the line is not the answer to a take. */
export function parseTaken(line: string): Omit<Taken, "results"> & { results: TickResult[] } {
  const { results, ...counts } = taken.parse(JSON.parse(line));
  return { ...counts, results: results.map(tickResult) };
}

function tickResult({ kind, outcome, endpoint, ...ref }: z.infer<typeof result>): TickResult {
  const at = { ...ref, endpoint: endpoint === "" ? null : endpoint };
  if (kind !== "outcome") return { ...at, kind };
  const bytes = new Uint8Array(Buffer.from(outcome ?? "", "base64"));
  return { ...at, kind, outcome: fromBinary(OutcomeSchema, bytes) };
}

export interface GoStart {
  endpoint: string;
  nodeId: string;
  genesisUnixMs: number;
  slotMs: number;
  deadlineMs: number;
  keys: readonly Uint8Array[];
  /** The Unix socket of the verifier, which the Go adapter asks itself. */
  verifier: string;
}

export class GoAdapter implements ServiceAdapter {
  readonly #process: ChildProcess;
  readonly #questions: number;
  readonly #answers: number;
  readonly #exited: Promise<void>;
  #seen: Pick<Taken, "skips" | "fenced" | "sessions"> = {
    skips: {},
    fenced: 0,
    sessions: { count: 0, seconds: 0 },
  };

  constructor(
    start: GoStart,
    private readonly modules: { metrics: InProcessMetrics; onNews(text: string): void },
  ) {
    const folder = mkdtempSync(join(tmpdir(), "devnet-go-"));
    const [questions, answers] = [join(folder, "questions"), join(folder, "answers")];
    execFileSync("mkfifo", [questions, answers]);
    // Each end opens when the other does; the shell opens those of the adapter.
    const command = ["-c", 'exec "$0" <"$1" >"$2"', GO_PROGRAM, questions, answers];
    this.#process = spawn("/bin/sh", command, { stdio: ["ignore", "ignore", "inherit"] });
    this.#exited = new Promise((resolve) => this.#process.once("exit", () => resolve()));
    this.#questions = openSync(questions, "w");
    this.#answers = openSync(answers, "r");
    rmSync(folder, { recursive: true });
    this.#ask({ start: { ...start, keys: start.keys.map(base64) } });
  }

  submitOrSkip(...[slot, gates, snapshot, options]: Parameters<ServiceAdapter["submitOrSkip"]>) {
    const { isAggregator, hasState } = gates;
    const { priority = "aggregation", deadlineMs = 0 } = options ?? {};
    const settings = { slot, isAggregator, hasState, priority, deadlineMs: Math.round(deadlineMs) };
    return parseSubmitted(this.#ask({ submit: { ...settings, snapshot: encoded(snapshot()) } }));
  }

  /** Counts in the node's metrics what the adapter has counted since. */
  takeResults(slot: number): TickResult[] {
    const { results, news, skips, fenced, sessions } = parseTaken(this.#ask({ take: { slot } }));
    const { metrics } = this.modules;
    const seen = this.#seen;
    for (const name of SKIP_REASONS) {
      const added = (skips[name] ?? 0) - (seen.skips[name] ?? 0);
      if (added > 0) metrics.skips.inc({ reason: name }, added);
    }
    metrics.fenced.inc(fenced - seen.fenced);
    const ended = sessions.count - seen.sessions.count;
    const seconds = (sessions.seconds - seen.sessions.seconds) / ended; // the mean of those
    for (let each = 0; each < ended; each++) metrics.workerSeconds.observe(seconds);
    this.#seen = { skips, fenced, sessions };
    for (const text of news) this.modules.onNews(`adapter: ${text}`);
    return results;
  }

  /** Refused: bodies are not merged in this mode. */
  mergeOrSkip(): never {
    throw new Error("the devnet's Go adapter merges nothing");
  }

  /** As `mergeOrSkip`: only a merge is cancelled. */
  cancel(): never {
    throw new Error("the devnet's Go adapter cancels nothing");
  }

  /** The end of its questions ends the adapter, which drains for a second. */
  async close(): Promise<void> {
    closeSync(this.#questions);
    await this.#exited;
    closeSync(this.#answers);
  }

  #ask(question: object): string {
    writeFileSync(this.#questions, `${JSON.stringify(question)}\n`);
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.alloc(65_536);
      const length = readSync(this.#answers, chunk);
      if (length === 0) throw new Error("the Go adapter has ended; its words are above");
      chunks.push(chunk.subarray(0, length));
      if (chunk[length - 1] === 0x0a) return Buffer.concat(chunks).toString();
    }
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

function encoded(snapshot: SnapshotInit | null | undefined): string {
  return base64(toBinary(SnapshotSchema, create(SnapshotSchema, snapshot ?? {})));
}
