/**
 * The parent's side of one prover process: its life from fork to exit, and its pending requests.
 * Every request settles, and `exited` settles only when the process is gone.
 */
import type { ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";
import { assertNever } from "../errors.js";
import { limits } from "../limits.js";
import type { LibraryLine } from "./child-stderr.js";
import { ChildStderr } from "./child-stderr.js";
import { exitText, functionOf, runningOf, runningText } from "./end-of-child.js";
import { GarbledMessageError, parseFromChild } from "./messages.js";
import type {
  ChildDescription,
  ChildQuestion,
  ChildReply,
  ChildRequest,
  ChildStart,
} from "./messages.js";
import { PIPE_FD, readMessages, writeMessage } from "./pipe.js";
import { ProverError, type ProverExit } from "./prover.js";
import { explainStartFailure } from "./start-failure.js";

/** Most milliseconds from exit to the end of stderr, which another process may hold open. */
const LAST_WORDS_MS_MAX = 250;
/** Most milliseconds from SIGKILL to the end of a process: much memory takes a second or two. */
const KILL_MS_MAX = 5000;
/** Least milliseconds between heartbeats that queue up while the service stands still. */
const QUEUED_HEARTBEAT_MS = 250;
/** Both end in SIGKILL, its own or another program's, and look alike. */
const CHANNEL_CLOSED = "another program killed it, or it closed its channel to the service";

/** The clock, and the kernel's count of out-of-memory kills; tests give their own. */
export interface ChildWatch {
  /** Monotonic clock in milliseconds, which stamps the child's messages. */
  nowMs(): number;
  /** Number of such kills so far: if higher after a SIGKILL, the kernel sent that SIGKILL. */
  oomKills(): number;
}

/** What becomes known of a prover process beside its answers; each is called at most at its time. */
export interface ChildEvents {
  /** The process is set up; `setupMs` is what its library says a setup takes, 0: not said. */
  onSetUp?: ((setupMs: number) => void) | undefined;
  /** Its library logs. */
  onLine?: ((line: LibraryLine) => void) | undefined;
  /**
   * The process ended by itself, was killed from outside, or its library failed, in these calls.
   * Not called when the service has killed it. Called before `exited` settles.
   */
  onFatal?: ((calls: readonly ChildQuestion[], end: Death) => void) | undefined;
  /** The process lives on after its SIGKILL. */
  onStuck?: ((pid: number) => void) | undefined;
}

/** A process that died, and how, for people. */
export interface Death {
  description: ChildDescription;
  cause: string;
}

type Phase =
  | { kind: "starting" }
  | { kind: "serving" }
  /** SIGKILL is sent; messages that still arrive are ignored. */
  | { kind: "ending"; cause: ProverExit["cause"]; detail: string; running: string }
  | { kind: "ended" };

interface Pending {
  /** Throws `GarbledMessageError` when the value does not fit the request. */
  resolve(value: unknown): void;
  reject(error: ProverError): void;
  kind: ChildRequest["kind"];
  /** As it was sent: it is not copied. */
  question: ChildQuestion;
}

export class ProverChild {
  /** Resolves when the child is set up. Rejects with `ProverError("start_failed")`. */
  readonly ready: Promise<ChildDescription>;
  /** Resolves once the process is gone; never rejects. */
  readonly exited: Promise<ProverExit>;
  /** Resident memory in bytes, as the process last reported it; 0 before the first report. */
  residentBytes = 0;
  /** The most that it held since its last proof began, as last reported; 0 before the first. */
  peakBytes = 0;
  /** When the last message arrived; before the first, when the child was forked. */
  private messageAtMs: number;
  /** Number of unanswered verifications, which run one by one, and when the running one began. */
  private verifying = { count: 0, sinceMs: 0 };

  /** Number of heartbeats that may come yet in the current second, which began at `sinceMs`. */
  private heartbeats: { sinceMs: number; left: number };

  private phase: Phase = { kind: "starting" };
  /** Undefined when no process could be started. */
  private readonly pipe: Duplex | undefined;
  /** Counts at the last two seconds' first heartbeats: the last one may have come after the end. */
  private oomKills: readonly [before: number, last: number];
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private readonly stderr: ChildStderr;
  private killTimer: NodeJS.Timeout | undefined;
  /** Undefined before the process is set up. */
  private description: ChildDescription | undefined;

  constructor(
    private readonly child: ChildProcess,
    start: ChildStart,
    private readonly watch: ChildWatch,
    private readonly events: ChildEvents = {},
  ) {
    const { onLine = () => undefined } = events;
    this.stderr = new ChildStderr(() => watch.nowMs(), onLine);
    this.pipe = pipeOf(child);
    this.messageAtMs = watch.nowMs();
    this.heartbeats = { sinceMs: this.messageAtMs, left: limits.proverHeartbeatsPerSecondMax };
    this.oomKills = [watch.oomKills(), watch.oomKills()];
    const { promise, resolve, reject } = deferred<ChildDescription>();
    this.ready = promise;
    this.exited = this.listen(resolve);
    void this.exited.then((exit) => reject(new ProverError("start_failed", exit.detail)));
    this.send(start);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /**
   * The instant since which the process counts as silent, by the watch's clock: its last message,
   * but never later than the start of a running verification, because heartbeats go on while that
   * hangs.
   */
  get heardAtMs(): number {
    const { count, sinceMs } = this.verifying;
    return count === 0 ? this.messageAtMs : Math.min(this.messageAtMs, sinceMs);
  }

  /**
   * Sends SIGKILL. `exited` reports the first cause; `died` during the setup becomes `start_failed`.
   */
  endBecause(cause: ProverExit["cause"], detail: string): void {
    const { phase } = this;
    if (phase.kind === "ending" || phase.kind === "ended") return;
    const isStarting = phase.kind === "starting";
    const reported = isStarting && cause === "died" ? "start_failed" : cause;
    this.phase = { kind: "ending", cause: reported, detail, running: this.running() };
    // Its end may have come while the service stood still: that is read first.
    this.killTimer = setTimeout(() => setImmediate(() => this.reportStuck()), KILL_MS_MAX);
    this.killTimer.unref();
    this.child.kill("SIGKILL");
  }

  private reportStuck(): void {
    const { pid, exitCode, signalCode } = this.child;
    if (pid !== undefined && exitCode === null && signalCode === null) this.events.onStuck?.(pid);
  }

  /**
   * Sends a request and resolves to its parsed answer. Rejects with `ProverError`. When `parse`
   * throws `GarbledMessageError`, the process is killed, and the request rejects at its end.
   */
  request<T>(question: ChildQuestion, parse: (value: unknown) => T): Promise<T> {
    if (this.phase.kind !== "serving") {
      return Promise.reject(new ProverError("died", `prover process is ${this.phase.kind}`));
    }
    if (this.pending.size >= limits.proverRequestsMax) {
      return Promise.reject(new ProverError("internal", "too many requests wait for this prover"));
    }
    const id = ++this.lastId;
    const { promise, resolve, reject } = deferred<T>();
    const { kind } = question;
    const tooLong = this.send({ ...question, id });
    if (tooLong !== undefined) {
      const most = limits.proverRequestBytesMax;
      const detail = `${functionOf(kind)} would take ${tooLong} bytes, and a prover reads ${most}`;
      return Promise.reject(new ProverError("refused", detail));
    }
    if (kind !== "prove") this.countVerification(1);
    this.pending.set(id, { resolve: (value) => resolve(parse(value)), reject, kind, question });
    return promise;
  }

  /** Sends nothing, and returns its length in bytes, when the message is longer than the child reads. */
  private send(message: ChildStart | ChildRequest): number | undefined {
    // A failed write needs no handler: the exit that follows settles the request.
    return this.pipe && writeMessage(this.pipe, message, limits.proverRequestBytesMax);
  }

  private receive(raw: unknown, ready: (description: ChildDescription) => void): void {
    if (this.phase.kind === "ending" || this.phase.kind === "ended") return;
    this.messageAtMs = this.watch.nowMs();
    try {
      const message = parseFromChild(raw);
      switch (message.kind) {
        case "heartbeat":
          this.countHeartbeat();
          this.residentBytes = message.residentBytes;
          this.peakBytes = message.peakBytes;
          break;
        case "done":
        case "failed":
          this.settle(message);
          break;
        case "ready":
          if (this.phase.kind !== "starting") {
            throw new GarbledMessageError("garbled message: a second ready");
          }
          this.phase = { kind: "serving" };
          this.residentBytes = message.residentBytes;
          this.description = message.description;
          this.events.onSetUp?.(message.setupMs);
          ready(message.description);
          break;
        case "startFailed":
          if (this.phase.kind !== "starting") {
            throw new GarbledMessageError("garbled message: a failed start after ready");
          }
          this.endBecause(message.isFinal ? "refused" : "start_failed", message.why);
          break;
        default:
          assertNever(message);
      }
    } catch (error) {
      if (!(error instanceof GarbledMessageError)) throw error;
      this.endBecause("died", error.message);
    }
  }

  /** Throws `GarbledMessageError`; the request is then settled when the process has ended. */
  private settle(reply: ChildReply): void {
    const pending = this.pending.get(reply.id);
    if (pending === undefined) {
      throw new GarbledMessageError(`garbled reply: no request ${reply.id} is pending`);
    }
    if (reply.kind === "failed" && reply.failure !== "refused") {
      // After these statuses the C ABI wants the process replaced. The request rejects at its end.
      const status = `${functionOf(pending.kind)} failed inside the library: ${reply.message}`;
      return this.endBecause(reply.failure === "memory" ? "killed_for_memory" : "died", status);
    }
    if (pending.kind !== "prove") this.countVerification(-1);
    if (reply.kind === "done") pending.resolve(reply.value);
    else pending.reject(new ProverError("refused", reply.message));
    this.pending.delete(reply.id);
  }

  private countHeartbeat(): void {
    const sinceMs = this.messageAtMs;
    const passedMs = sinceMs - this.heartbeats.sinceMs;
    if (passedMs >= 1000) {
      const queued = Math.ceil(passedMs / QUEUED_HEARTBEAT_MS);
      this.heartbeats = { sinceMs, left: limits.proverHeartbeatsPerSecondMax + queued };
      this.oomKills = [this.oomKills[1], this.watch.oomKills()];
    }
    if (--this.heartbeats.left < 0) {
      throw new GarbledMessageError("garbled messages: heartbeats without end");
    }
  }

  /** A verification begins when it arrives or, if others wait, once the one before is answered. */
  private countVerification(change: 1 | -1): void {
    const { count, sinceMs } = this.verifying;
    const isAnother = change === -1 || count === 0;
    this.verifying = {
      count: count + change,
      sinceMs: isAnother ? this.watch.nowMs() : sinceMs,
    };
  }

  private listen(ready: (description: ChildDescription) => void): Promise<ProverExit> {
    const { child } = this;
    const { promise, resolve } = deferred<ProverExit>();
    const end = (how: string, signal: NodeJS.Signals | null) => {
      if (this.phase.kind !== "ended") resolve(this.end(how, signal));
    };
    child.stderr?.on("data", (chunk: Buffer) => this.stderr.take(chunk));
    const reader = {
      onMessage: (raw: unknown) => this.receive(raw, ready),
      onGarbage: (why: string) => this.endBecause("died", `garbled message: ${why}`),
      // The pipe also closes when the process ends by itself; the signal then has no effect.
      onEnd: () => this.endBecause("died", CHANNEL_CLOSED),
    };
    if (this.pipe !== undefined) readMessages(this.pipe, reader, limits.proverReplyBytesMax);
    child.on("error", (error) => {
      // When no process could be started, no exit event follows. After any other error one does.
      if (child.pid === undefined) end(error.message, null);
      // A process that may not be killed kills itself when its pipe closes.
      else if (this.phase.kind === "ending") this.pipe?.destroy();
    });
    child.on("exit", (code, signal) => {
      const how = exitText(code, signal);
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
    clearTimeout(this.killTimer);
    const running = phase.kind === "ending" ? phase.running : this.running();
    // A process that dies closes its pipe first: its own end is then the cause, not our SIGKILL.
    const isByItself = phase.kind !== "ending" || phase.detail === CHANNEL_CLOSED;
    const isOomKill =
      signal === "SIGKILL" && isByItself && this.watch.oomKills() > this.oomKills[0];
    const detail = this.detail(how, signal, { running, isByItself, isOomKill });
    this.phase = { kind: "ended" };
    const isOurs = phase.kind === "ending" && !isFault(phase.cause);
    if (!isOurs || isOomKill) this.reportFatal(detail);
    for (const { reject } of this.pending.values()) {
      reject(new ProverError("died", `prover process ended: ${detail}`));
    }
    this.pending.clear();
    if (isOomKill) return { cause: "killed_for_memory", detail };
    const own = phase.kind === "starting" ? "start_failed" : "died";
    const cause = phase.kind === "ending" ? phase.cause : own;
    return { cause, detail: cause === "start_failed" ? explainStartFailure(detail) : detail };
  }

  private reportFatal(cause: string): void {
    const { description } = this;
    const calls = this.unanswered();
    if (description === undefined || calls.length === 0) return;
    this.events.onFatal?.(
      calls.map(({ question }) => question),
      { description, cause },
    );
  }

  private detail(
    how: string,
    signal: NodeJS.Signals | null,
    { running, isByItself, isOomKill }: EndFacts,
  ): string {
    const { phase } = this;
    const size = `${Math.round(this.residentBytes / 1e6)} MB resident at its last report`;
    // A process that lives on without its channel ends by the SIGKILL of `endBecause`.
    const isOwnKill = phase.kind === "ending" && signal === "SIGKILL";
    const what = isOomKill
      ? `killed by the kernel for memory, ${size}`
      : isOwnKill || (phase.kind === "ending" && !isByItself)
        ? phase.detail
        : how;
    const isTold = phase.kind === "ending" && !isByItself && phase.cause !== "died";
    const where = isTold ? "" : `, ${running}`;
    const { lastWords } = this.stderr;
    return `${what}${where}${lastWords === "" ? "" : `: ${lastWords}`}`;
  }

  private running(): string {
    return runningText(this.phase.kind !== "starting", this.unanswered());
  }

  /** The requests that the library answers. */
  private unanswered(): Pending[] {
    return runningOf([...this.pending.values()]);
  }
}

/** Whether a process that the service ends is at fault itself. */
const isFault = (cause: ProverExit["cause"]) => cause === "died" || cause === "killed_for_memory";

/** What is known of a process that has ended. */
interface EndFacts {
  /** The functions of the library that ran; see `runningText`. */
  running: string;
  /** False when the service ended the process for a reason of its own. */
  isByItself: boolean;
  isOomKill: boolean;
}

/** Undefined when no process could be started: without descriptors, Node.js makes no pipes. */
function pipeOf(child: ChildProcess): Duplex | undefined {
  const stdio: unknown = child.stdio;
  const pipe: unknown = Array.isArray(stdio) ? stdio[PIPE_FD] : undefined;
  return pipe instanceof Duplex ? pipe : undefined;
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function deferred<T>(): Deferred<T> {
  // The executor replaces both before the constructor returns.
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
