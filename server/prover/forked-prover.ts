/**
 * A prover in a forked child process (`child-main.ts`). SIGKILL can cancel its proof, and an abort
 * or leak of native code ends with the process. Checks every message of the child, kills the child
 * when a message is garbled, and settles every request at the child's end. `device.ts` starts it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { limits } from "../limits.js";
import type { BackendOptions } from "./device/backend-file.js";
import { ProverChild, type ChildEvents, type ChildWatch } from "./child-process.js";
import type { LibraryLine } from "./child-stderr.js";
import type { FatalCall } from "./fatal-call.js";
import type { ChildStart } from "./messages.js";
import { parseBoolean, parseProof, parseVerdicts } from "./messages.js";
import { oomKills } from "../machine/control-group.js";
import { keyCountOf, ProverError, signerCountOf } from "./prover.js";
import { explainStartFailure } from "./start-failure.js";
import type {
  ClaimedProof,
  KeyClaim,
  Prover,
  ProofJob,
  ProverExit,
  SignatureVerdict,
  SignedRaws,
} from "./prover.js";
import type { ProverDescription } from "../work/prover-description.js";

/** Milliseconds in which the time that a start may take is counted. */
const START_SLICE_MS = 500;

export interface ForkedProverOptions {
  /** The device's name in errors. */
  deviceId: string;
  /** Path of the compiled `child-main.js`. */
  childPath: string;
  backend: BackendOptions;
  /**
   * Descriptor of the device's lock (`device-lock.ts`). The child inherits it, so the lock is held
   * as long as a prover of the device lives. Absent: no lock.
   */
  lockFd?: number;
  /** Niceness, -20 to 19; 0 means the service's own. */
  nice: number;
  /** Cores to run on; empty means all. */
  cores: readonly number[];
  /** Number of the prover's threads; default 0, one for each core that it may use. */
  threads?: number;
  /** The child's whole environment; see `proverEnvironment`. */
  env: Readonly<Record<string, string>>;
  /** User and only group of the child; only a service of root may set it. Absent: its own. */
  user?: ProverUser;
  /** Largest file that the child may write, in bytes; default 0, no file at all. */
  fileBytesMax?: number;
  /** Folder where its library may keep files of up to `fileBytesMax`. Absent: none. */
  cacheFolder?: string | undefined;
  /** Longest time from fork to ready, in milliseconds; the child is killed after it. */
  startTimeoutMs: number;
  /** Called when it is set up; see `ChildEvents`. */
  onSetUp?: ((setupMs: number) => void) | undefined;
  /** Called with each line of its library's log. */
  onLine?: ((line: LibraryLine) => void) | undefined;
  /** Called with each call in which it died, once it has; not when the service killed it. */
  onFatal?: ((fatal: FatalCall) => void) | undefined;
  /** Called when it lives on after it was killed. */
  onStuck?: ((pid: number) => void) | undefined;
  /** Default: this process's clock, and the kernel's count of out-of-memory kills. */
  watch?: ChildWatch;
}

export interface ProverUser {
  uid: number;
  gid: number;
}

/** A prover's environment: a few variables of the service, overridden by the device's own. */
export function proverEnvironment(
  service: Readonly<Record<string, string | undefined>>,
  device: Readonly<Record<string, string>>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "LANG"]) {
    const value = service[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...device };
}

/**
 * Forks a prover and returns at once. Its `ready` rejects when the setup fails. Throws
 * `ProverError("start_failed")` when the system refuses a process at once, as without memory.
 */
export function forkProver(options: ForkedProverOptions): Prover {
  const { nice, cores, startTimeoutMs, deviceId, threads = 0, fileBytesMax = 0 } = options;
  const { cacheFolder, onSetUp, onLine, onFatal, onStuck } = options;
  const { library, config } = options.backend;
  const backend = { library, config };
  const own = { nice, cores: [...cores], threads, fileBytesMax, cacheFolder };
  const start: ChildStart = { kind: "start", backend, ...own };
  const watch = options.watch ?? { nowMs: () => performance.now(), oomKills: () => oomKills() };
  const events: ChildEvents = {
    onSetUp,
    onLine,
    onFatal: (calls, death) => {
      for (const call of calls) onFatal?.({ device: deviceId, backend, threads, call, ...death });
    },
    onStuck,
  };
  const child = new ProverChild(forkChild(options), start, watch, events);
  // Counted in slices: while the service stands still, the child may do so too.
  let leftMs = startTimeoutMs;
  const sliceMs = Math.min(START_SLICE_MS, startTimeoutMs);
  const timer = setInterval(() => {
    leftMs -= sliceMs;
    if (leftMs <= 0) child.endBecause("start_failed", `not ready after ${startTimeoutMs} ms`);
  }, sliceMs);
  void child.ready.catch(() => undefined).finally(() => clearInterval(timer));
  return new ForkedProver(child, deviceId);
}

/** Forks a prover and resolves once it is ready. Rejects with `ProverError("start_failed")`. */
export async function startForkedProver(options: ForkedProverOptions): Promise<Prover> {
  const prover = forkProver(options);
  await prover.ready;
  return prover;
}

/** The child ignores SIGUSR1 once it runs; a newer Node.js can ignore it from the start. */
const NODE_FLAGS = ["--disable-sigusr1"].filter((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

function forkChild({ childPath, deviceId, env, lockFd, user }: ForkedProverOptions): ChildProcess {
  const inherited = lockFd === undefined ? [] : [lockFd];
  try {
    // The argument names the device in process lists; the child does not read it.
    return spawn(process.execPath, [...NODE_FLAGS, childPath, deviceId], {
      env: { ...env },
      stdio: ["ignore", "ignore", "pipe", "pipe", ...inherited],
      ...user,
    });
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ProverError("start_failed", explainStartFailure(detail), { cause });
  }
}

/** A copy in a buffer of its own; the given view may lie on a pool that other data shares. */
function packed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function packedClaim({ root, slot, keys }: KeyClaim) {
  return { root: packed(root), slot, keys: packed(keys) };
}

function packedRaws(raws: SignedRaws) {
  return { ...packedClaim(raws), signatures: packed(raws.signatures) };
}

function packedProof({ kind, bytes, claims }: ClaimedProof) {
  return { kind, bytes: packed(bytes), claims: claims.map(packedClaim) };
}

type State =
  | { kind: "starting" }
  | { kind: "idle"; description: ProverDescription }
  | { kind: "proving"; description: ProverDescription };

class ForkedProver implements Prover {
  readonly ready: Promise<ProverDescription>;
  private state: State = { kind: "starting" };

  constructor(
    private readonly child: ProverChild,
    deviceId: string,
  ) {
    this.ready = child.ready.then(
      (described) => {
        const description = { ...described, fake: false };
        this.state = { kind: "idle", description };
        return description;
      },
      (cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        const message = `prover of ${deviceId} did not start: ${why}`;
        throw new ProverError("start_failed", message, { cause });
      },
    );
    // A caller may ignore `ready` and use `exited`: that must not be an unhandled rejection.
    this.ready.catch(() => undefined);
  }

  get description(): ProverDescription {
    if (this.state.kind === "starting") throw new Error("the prover is not set up yet");
    return this.state.description;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get exited(): Promise<ProverExit> {
    return this.child.exited;
  }

  residentBytes(): number {
    return this.child.residentBytes;
  }

  peakBytes(): number {
    return this.child.peakBytes;
  }

  heardAtMs(): number {
    return this.child.heardAtMs;
  }

  kill(): void {
    this.child.endBecause("killed_by_us", "killed by the service");
  }

  async verifySignatures(raws: SignedRaws): Promise<SignatureVerdict[]> {
    const count = signerCountOf(this.description, raws);
    return this.child.request({ kind: "verifySignatures", raws: packedRaws(raws) }, (value) =>
      parseVerdicts(value, count),
    );
  }

  async verify(proof: ClaimedProof): Promise<boolean> {
    for (const { keys } of proof.claims) keyCountOf(this.description, keys);
    return this.child.request({ kind: "verify", proof: packedProof(proof) }, parseBoolean);
  }

  async prove({ kind, logInvRate, raws, children, wanted }: ProofJob): Promise<Uint8Array> {
    const { description } = this;
    // The service reserves memory up to its own limit; a backend may declare more, or 0, no limit.
    const proofBytesMax = Math.min(description.proofBytesMax || Infinity, limits.proofBytesMax);
    for (const each of raws) signerCountOf(description, each);
    for (const { keys } of [...children.flatMap(({ claims }) => claims), ...wanted]) {
      keyCountOf(description, keys);
    }
    if (this.state.kind === "proving") {
      throw new ProverError("internal", "a proof is running already");
    }
    this.state = { kind: "proving", description };
    const job = {
      ...{ kind, logInvRate, raws: raws.map(packedRaws) },
      ...{ children: children.map(packedProof), wanted: wanted.map(packedClaim) },
    };
    try {
      return await this.child.request({ kind: "prove", job }, (value) =>
        parseProof(value, proofBytesMax),
      );
    } finally {
      this.state = { kind: "idle", description };
    }
  }
}
