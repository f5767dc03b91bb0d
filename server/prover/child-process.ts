/**
 * The service's end of one prover process: its life from fork to exit, and the requests waiting on
 * it. Promises that every request settles, and that `exited` settles only when the process is gone.
 */
import type { ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";
import type { BackendDescription } from "../../native/addon.js";
import { limits } from "../limits.js";
import { GarbledMessageError, parseFromChild, printable } from "./messages.js";
import type { ChildReply, ChildRequest, ChildStart } from "./messages.js";
import { PIPE_FD, readMessages, writeMessage } from "./pipe.js";
import type { ProcessWatch } from "./process-watch.js";
import { ProverError, type ProverExit } from "./prover.js";

/** How long to wait for the last of stderr after the exit: something else may hold the pipe open. */
const LAST_WORDS_MS_MAX = 250;

type Phase =
  | { name: "starting" }
  | { name: "serving" }
  /** SIGKILL is sent, and nothing that still comes counts. */
  | { name: "ending"; cause: ProverExit["cause"]; detail: string }
  | { name: "ended" };

interface Pending {
  /** Throws `GarbledMessageError` when the value is none that the request can have. */
  resolve(value: unknown): void;
  reject(error: ProverError): void;
  isVerification: boolean;
}

/** A request before it is numbered. */
export type ChildQuestion = ChildRequest extends infer R
  ? R extends ChildRequest
    ? Omit<R, "type" | "id">
    : never
  : never;

export class ProverChild {
  readonly ready: Promise<BackendDescription>;
  readonly exited: Promise<ProverExit>;
  /** As the process last reported it; 0 until then. */
  residentBytes = 0;
  private messageAtMs: number;
  /** Verifications that wait, which are answered one by one, and when the first of them began to. */
  private verifying = { count: 0, sinceMs: 0 };

  /** Within the second that began then. */
  private heartbeats = { sinceMs: 0, count: 0 };

  private phase: Phase = { name: "starting" };
  private readonly pipe: Duplex;
  private readonly oomKillsAtStart: number;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private stderrTail = Buffer.alloc(0);

  constructor(
    private readonly child: ChildProcess,
    start: ChildStart,
    private readonly watch: ProcessWatch,
  ) {
    this.pipe = pipeOf(child);
    this.messageAtMs = watch.nowMs();
    this.oomKillsAtStart = watch.oomKills();
    const { promise, resolve, reject } = deferred<BackendDescription>();
    this.ready = promise;
    this.exited = this.listen(resolve);
    void this.exited.then((exit) => reject(new ProverError("start_failed", exit.detail)));
    this.send(start);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /**
   * When it last gave a sign of life, by the watch's clock. Its heart beats on while a verification
   * hangs: that one counts as silence from its beginning.
   */
  get heardAtMs(): number {
    const { count, sinceMs } = this.verifying;
    return count === 0 ? this.messageAtMs : Math.min(this.messageAtMs, sinceMs);
  }

  /** SIGKILL, for this reason; the first reason stands. `exited` settles when the process is gone. */
  endBecause(cause: ProverExit["cause"], detail: string): void {
    if (this.phase.name === "ending" || this.phase.name === "ended") return;
    const isStarting = this.phase.name === "starting";
    this.phase = { name: "ending", cause: isStarting ? "start_failed" : cause, detail };
    this.child.kill("SIGKILL");
  }

  /** Rejects with `ProverError`. `parse` throws `GarbledMessageError`: the process is then killed. */
  request<T>(question: ChildQuestion, parse: (value: unknown) => T): Promise<T> {
    if (this.phase.name !== "serving") {
      return Promise.reject(new ProverError("died", `prover process is ${this.phase.name}`));
    }
    if (this.pending.size >= limits.proverRequestsMax) {
      return Promise.reject(new ProverError("internal", "too many requests wait for this prover"));
    }
    const id = ++this.lastId;
    const { promise, resolve, reject } = deferred<T>();
    const isVerification = question.op !== "aggregate";
    if (isVerification) this.countVerification(1);
    this.pending.set(id, { resolve: (value) => resolve(parse(value)), reject, isVerification });
    this.send({ ...question, type: "request", id });
    return promise;
  }

  private send(message: ChildStart | ChildRequest): void {
    // One that cannot be sent needs no handler: the exit that follows settles its request.
    writeMessage(this.pipe, message);
  }

  private receive(raw: unknown, ready: (description: BackendDescription) => void): void {
    if (this.phase.name === "ending" || this.phase.name === "ended") return;
    this.messageAtMs = this.watch.nowMs();
    try {
      const message = parseFromChild(raw);
      if (message.type === "heartbeat") {
        this.countHeartbeat();
        this.residentBytes = message.residentBytes;
      } else if (message.type === "reply") {
        this.settle(message);
      } else if (this.phase.name === "starting") {
        this.phase = { name: "serving" };
        ready(message.description);
      } else {
        throw new GarbledMessageError("garbled message: a second ready");
      }
    } catch (error) {
      if (!(error instanceof GarbledMessageError)) throw error;
      this.endBecause("died", error.message);
    }
  }

  /** A garbled reply leaves its request pending: the exit settles it. */
  private settle(reply: ChildReply): void {
    const pending = this.pending.get(reply.id);
    if (pending === undefined) {
      throw new GarbledMessageError(`garbled reply: no request ${String(reply.id)} is pending`);
    }
    if (pending.isVerification) this.countVerification(-1);
    if (reply.ok) pending.resolve(reply.value);
    else pending.reject(new ProverError(reply.kind, reply.message));
    this.pending.delete(reply.id);
  }

  private countHeartbeat(): void {
    const isSameSecond = this.messageAtMs - this.heartbeats.sinceMs < 1000;
    if (!isSameSecond) this.heartbeats = { sinceMs: this.messageAtMs, count: 0 };
    if (++this.heartbeats.count > limits.proverHeartbeatsPerSecondMax) {
      throw new GarbledMessageError("garbled messages: heartbeats without end");
    }
  }

  /** The first in the queue begins when it comes, or when the one before it is answered. */
  private countVerification(change: 1 | -1): void {
    const { count, sinceMs } = this.verifying;
    const isAnother = change === -1 || count === 0;
    this.verifying = {
      count: count + change,
      sinceMs: isAnother ? this.watch.nowMs() : sinceMs,
    };
  }

  private listen(ready: (description: BackendDescription) => void): Promise<ProverExit> {
    const { child } = this;
    const { promise, resolve } = deferred<ProverExit>();
    const end = (how: string, signal: NodeJS.Signals | null) => {
      if (this.phase.name !== "ended") resolve(this.end(how, signal));
    };
    child.stderr?.on("data", (chunk: Buffer) => {
      this.stderrTail = Buffer.concat([this.stderrTail, chunk]).subarray(
        -limits.proverStderrBytesMax,
      );
    });
    const reader = {
      onMessage: (raw: unknown) => this.receive(raw, ready),
      onGarbage: (why: string) => this.endBecause("died", `garbled message: ${why}`),
      // Of a process that ends by itself, too: then the signal finds nobody.
      onEnd: () => this.endBecause("died", "channel closed"),
    };
    readMessages(this.pipe, reader, limits.proverReplyBytesMax);
    child.on("error", (error) => {
      // With no process there will be no exit either. Other errors are followed by one.
      if (child.pid === undefined) end(error.message, null);
    });
    child.on("exit", (code, signal) => {
      const how = signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
      const timer = setTimeout(() => end(how, signal), LAST_WORDS_MS_MAX);
      child.on("close", () => {
        clearTimeout(timer);
        end(how, signal);
      });
    });
    return promise;
  }

  private end(how: string, signal: NodeJS.Signals | null): ProverExit {
    const { phase } = this;
    // The kernel closes a killed process's pipe before it tells of its end: either may come first.
    const isOurs = phase.name === "ending" && phase.cause !== "died";
    const isOomKill =
      signal === "SIGKILL" && !isOurs && this.watch.oomKills() > this.oomKillsAtStart;
    const why = phase.name === "ending" ? `${phase.detail}, ` : "";
    const stderr = printable(this.stderrTail.toString("utf8")).trim();
    const size = `${String(Math.round(this.residentBytes / 1e6))} MB resident when last seen`;
    const memory = isOomKill ? `, killed by the kernel for memory, ${size}` : "";
    const detail = `${why}${how}${memory}${stderr === "" ? "" : `: ${stderr}`}`;
    this.phase = { name: "ended" };
    for (const { reject } of this.pending.values()) {
      reject(new ProverError("died", `prover process ended: ${detail}`));
    }
    this.pending.clear();
    if (phase.name === "ending" && !isOomKill) return { cause: phase.cause, detail };
    if (phase.name === "starting") return { cause: "start_failed", detail };
    return { cause: isOomKill ? "killed_for_memory" : "died", detail };
  }
}

function pipeOf(child: ChildProcess): Duplex {
  const pipe = child.stdio[PIPE_FD];
  if (!(pipe instanceof Duplex)) throw new Error("the prover process was started without a pipe");
  return pipe;
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function deferred<T>(): Deferred<T> {
  // Replaced at once: a promise runs its executor before it is returned.
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
