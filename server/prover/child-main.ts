/**
 * Entry of a prover process: forked by `process-prover.ts`, one per prover, the addon inside. It
 * ends with its parent, holds the device's lock (an inherited descriptor that it never looks at) for
 * as long as it lives, and answers numbered requests. A failure to start, or a parent that makes no
 * sense, ends it with words on stderr.
 */
import { existsSync, readdirSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { loadAddon, type Addon, type NativeProver } from "../../native/addon.js";
import { limits } from "../limits.js";
import { confineProver } from "./confinement.js";
import {
  parseToChild,
  type FromChild,
  type ChildReply,
  type ChildRequest,
  type ChildStart,
  type ToChild,
} from "./messages.js";
import { failureKindOf, verdictOf } from "./native-status.js";
import { PIPE_FD, readMessages, writeMessage } from "./pipe.js";

const EXIT_START_FAILED = 1;
const EXIT_GARBLED_MESSAGE = 2;
/** Some beats fit in the silence after which the lane takes this process for wedged. */
const HEARTBEAT_INTERVAL_MS = 500;

type State =
  | { name: "waiting" }
  | { name: "starting" }
  | { name: "serving"; prover: NativeProver; verifying: Promise<void> };

function fail(exitCode: number, error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

/** Throws when there is no pipe: this process is started by the service, not by hand. */
function openPipe(): Socket {
  try {
    return new Socket({ fd: PIPE_FD, readable: true, writable: true });
  } catch (cause) {
    throw new Error("host.js is started by the service, not by hand", { cause });
  }
}

/** 0 leaves what was inherited. */
function setNiceness(nice: number): void {
  if (nice === 0) return;
  if (process.platform !== "linux") {
    setPriority(nice);
    return;
  }
  // On Linux niceness belongs to a thread, and is inherited by those it starts. The thread pool that
  // will run the proofs is up already, so every thread has to be set.
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      setPriority(Number(thread), nice);
    } catch (error) {
      if (existsSync(`/proc/self/task/${thread}`)) throw error; // else it has ended since
    }
  }
}

async function openBackend(addon: Addon, start: ChildStart): Promise<NativeProver> {
  // All before the backend loads: it sizes its thread pool by the cores.
  setNiceness(start.nice);
  addon.setAffinity(start.cores);
  confineProver(addon, start.fileBytesMax);
  return addon.open(start.backend.library, start.backend.config);
}

async function answer(prover: NativeProver, request: ChildRequest): Promise<unknown> {
  switch (request.op) {
    case "verifySignatures": {
      const { message, keys, signatures } = request;
      const statuses = await prover.verifySignatures(message, keys, signatures);
      return Array.from(statuses, verdictOf);
    }
    case "verifyAggregate":
      return prover.verifyAggregate(request.message, request.claim);
    case "aggregate": {
      const { message, keys, signatures, children, logInvRate } = request;
      return prover.aggregate(message, keys, signatures, children, logInvRate);
    }
  }
}

async function replyTo(prover: NativeProver, request: ChildRequest): Promise<ChildReply> {
  const { id } = request;
  try {
    return { type: "reply", id, ok: true, value: await answer(prover, request) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const message = text.slice(0, limits.proverErrorLengthMax);
    return { type: "reply", id, ok: false, kind: failureKindOf(error), message };
  }
}

function main(): void {
  let state: State = { name: "waiting" };
  const addon = loadAddon();
  addon.dieWithParent();
  const pipe = openPipe();
  const send = (message: FromChild) => writeMessage(pipe, message);
  const sendHeartbeat = () => send({ type: "heartbeat", residentBytes: process.memoryUsage.rss() });

  async function start(message: ChildStart): Promise<void> {
    state = { name: "starting" };
    const prover = await openBackend(addon, message);
    state = { name: "serving", prover, verifying: Promise.resolve() };
    send({ type: "ready", description: describe(prover) });
    sendHeartbeat();
    // Never cleared: it beats until this process ends.
    setInterval(sendHeartbeat, HEARTBEAT_INTERVAL_MS);
  }

  function handle(message: ToChild): void {
    if (message.type === "start") {
      if (state.name !== "waiting") throw new Error("garbled message: a second start");
      start(message).catch((error: unknown) => fail(EXIT_START_FAILED, error));
      return;
    }
    if (state.name !== "serving") throw new Error("garbled message: a request before ready");
    const serving = state;
    const run = async () => {
      const reply = await replyTo(serving.prover, message);
      // First: the lane decides by the memory that a proof leaves behind.
      if (message.op === "aggregate") sendHeartbeat();
      send(reply);
    };
    if (message.op === "aggregate") {
      void run(); // replyTo catches everything
    } else {
      // The C ABI allows a second thread while a proof runs, not a third.
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
  // The parent-death signal is Linux's, and is missed by a process whose parent is dead already.
  const onEnd = () => process.kill(process.pid, "SIGKILL");
  readMessages(pipe, { onMessage, onGarbage, onEnd }, limits.proverRequestBytesMax);
}

/** Field by field: a description with more in it than the messages allow would be refused. */
function describe(prover: NativeProver) {
  const d = prover.describe();
  return {
    backend: d.backend,
    scheme: d.scheme,
    revision: d.revision,
    kinds: d.kinds,
    publicKeyBytes: d.publicKeyBytes,
    signatureBytes: d.signatureBytes,
    proofBytesMax: d.proofBytesMax,
    childrenMax: d.childrenMax,
    rawsMax: d.rawsMax,
    keyOrderMatters: d.keyOrderMatters,
  };
}

try {
  main();
} catch (error) {
  fail(EXIT_START_FAILED, error);
}
