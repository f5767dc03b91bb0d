/**
 * A prover process, which `child-main.ts` starts. It loads the addon and the backend, answers
 * numbered requests and ends when its parent does. It holds the device's lock while it lives, by an
 * inherited descriptor that it never uses. It reports a failed setup, and the parent ends it; a
 * garbled message ends it with an error on stderr.
 */
import { existsSync, readdirSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import {
  failureKindOf,
  isUnusableLibrary,
  loadAddon,
  verdictOf,
  type Addon,
  type NativeProver,
} from "../../native/addon.js";
import { limits } from "../limits.js";
import { confineProver } from "./confinement.js";
import { messagesMaxOf, separatesRaws, unmetNeed } from "./library-needs.js";
import {
  parseToChild,
  type ChildDescription,
  type ChildReply,
  type ChildRequest,
  type ChildStart,
  type FromChild,
  type ToChild,
} from "./messages.js";
import { PeakMemory, ResidentMemory } from "./peak-memory.js";
import { PIPE_FD, readMessages, writeMessage } from "./pipe.js";

const EXIT_START_FAILED = 1;
const EXIT_GARBLED_MESSAGE = 2;
/** Milliseconds between heartbeats; the lane kills this process as hung when ten are missing. */
const HEARTBEAT_INTERVAL_MS = 500;

type State =
  | { kind: "waiting" }
  | { kind: "starting" }
  | { kind: "serving"; prover: NativeProver; verifying: Promise<void> };

function fail(exitCode: number, error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

/** Opens the pipe to the parent. Throws without a pipe, as after a start by hand. */
function openPipe(): Socket {
  try {
    return new Socket({ fd: PIPE_FD, readable: true, writable: true });
  } catch (cause) {
    throw new Error("child-main.js is started by the service, not by hand", { cause });
  }
}

/** Sets the niceness of every thread of this process; 0 keeps the inherited niceness. */
function setNiceness(nice: number): void {
  if (nice === 0) return;
  if (process.platform !== "linux") {
    setPriority(nice);
    return;
  }
  // On Linux niceness belongs to a thread, and new threads inherit it. The thread pool that runs
  // the proofs has started already, so every thread has to be set.
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      setPriority(Number(thread), nice);
    } catch (error) {
      if (existsSync(`/proc/self/task/${thread}`)) throw error; // else the thread has ended
    }
  }
}

/** A library that the service cannot use, however often it is set up. */
class UnusableLibraryError extends Error {
  override readonly name = "UnusableLibraryError";
}

async function openBackend(addon: Addon, start: ChildStart): Promise<NativeProver> {
  // All of this before the backend loads, which sizes its own thread pool by the cores.
  setNiceness(start.nice);
  addon.setAffinity(start.cores);
  confineProver(addon, start.fileBytesMax);
  const { library, config } = start.backend;
  const { threads, cacheFolder } = start;
  const prover = await addon.open(library, { config, threads, cacheFolder });
  const fault = unmetNeed(library, prover.describe());
  if (fault !== undefined) throw new UnusableLibraryError(fault);
  return prover;
}

async function answer(prover: NativeProver, request: ChildRequest): Promise<unknown> {
  switch (request.kind) {
    case "verifySignatures":
      return Array.from(await prover.verifySignatures(request.raws), verdictOf);
    case "verify":
      return prover.verify(request.proof);
    case "prove":
      return prover.prove(request.job);
  }
}

async function replyTo(prover: NativeProver, request: ChildRequest): Promise<ChildReply> {
  const { id } = request;
  try {
    return { kind: "done", id, value: await answer(prover, request) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const message = text.slice(0, limits.proverErrorLengthMax);
    return { kind: "failed", id, failure: failureKindOf(error), message };
  }
}

function serveRequests(): void {
  let state: State = { kind: "waiting" };
  const addon = loadAddon();
  addon.dieWithParent();
  const pipe = openPipe();
  const resident = new ResidentMemory();
  const peak = new PeakMemory();
  const send = (message: FromChild) => writeMessage(pipe, message);
  const sendHeartbeat = () =>
    send({ kind: "heartbeat", residentBytes: resident.bytes(), peakBytes: peak.bytes() });

  async function start(message: ChildStart): Promise<void> {
    state = { kind: "starting" };
    const prover = await openBackend(addon, message);
    state = { kind: "serving", prover, verifying: Promise.resolve() };
    const { setupMs } = prover.describe();
    const description = describe(prover);
    send({ kind: "ready", description, setupMs, residentBytes: resident.bytes() });
    // Never cleared: heartbeats go on until this process ends.
    setInterval(sendHeartbeat, HEARTBEAT_INTERVAL_MS);
  }

  function handle(message: ToChild): void {
    if (message.kind === "start") {
      if (state.kind !== "waiting") throw new Error("garbled message: a second start");
      start(message).catch((error: unknown) => send(startFailure(error)));
      return;
    }
    if (state.kind !== "serving") throw new Error("garbled message: a request before ready");
    const serving = state;
    const run = async () => {
      if (message.kind === "prove") peak.reset();
      const reply = await replyTo(serving.prover, message);
      // Sent before the reply: by this memory the lane decides whether to replace the process.
      if (message.kind === "prove") sendHeartbeat();
      send(reply);
    };
    if (message.kind === "prove") {
      void run(); // replyTo catches every error
    } else {
      // One after the other: the C ABI allows a second call while a proof runs, but not a third.
      serving.verifying = serving.verifying.then(run);
    }
  }

  const onMessage = (raw: unknown) => {
    try {
      handle(parseToChild(raw));
    } catch (error) {
      fail(EXIT_GARBLED_MESSAGE, error);
    }
  };
  const onGarbage = (why: string) => fail(EXIT_GARBLED_MESSAGE, `garbled message: ${why}`);
  // The parent-death signal exists on Linux only, and is not sent for a parent that died earlier.
  const onEnd = () => process.kill(process.pid, "SIGKILL");
  readMessages(pipe, { onMessage, onGarbage, onEnd }, limits.proverRequestBytesMax);
}

function startFailure(error: unknown): FromChild {
  const text = error instanceof Error ? error.message : String(error);
  const why = text.slice(0, limits.proverErrorLengthMax);
  const isFinal = error instanceof UnusableLibraryError || isUnusableLibrary(error);
  return { kind: "startFailed", why, isFinal };
}

/** The part of the description that the service uses after the start. */
function describe(prover: NativeProver): ChildDescription {
  const d = prover.describe();
  return {
    backend: d.backend,
    scheme: d.scheme,
    revision: d.revision,
    publicKeyBytes: d.publicKeyBytes,
    signatureBytes: d.signatureBytes,
    proofBytesMax: d.proofBytesMax,
    childrenMax: d.fold.childrenMax,
    rawsMax: d.fold.rawsMax,
    rawsBesideMax: d.fold.rawsBesideMax,
    separatesRaws: separatesRaws(d),
    arities: d.fold.arities,
    messagesMax: messagesMaxOf(d),
    rates: d.rates,
  };
}

/** Runs the process. Without the addon or the pipe to its parent, it ends with an error. */
export function runProver(): void {
  try {
    serveRequests();
  } catch (error) {
    fail(EXIT_START_FAILED, error);
  }
}
