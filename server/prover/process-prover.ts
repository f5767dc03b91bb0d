/**
 * A prover in a child process of its own (`child.ts`): the only kind that can be cancelled, and whose
 * aborts and leaks end there. Checks everything the process sends, kills it when that is garbled,
 * and leaves no request unsettled once it has ended. Started by the pool.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { limits } from "../limits.js";
import type { BackendOptions } from "./backend-file.js";
import { ProverChild } from "./child-process.js";
import type { ChildStart } from "./messages.js";
import { parseBoolean, parseProof, parseVerdicts } from "./messages.js";
import { keyCountOf, signerCountOf } from "./packed.js";
import { readOomKills, type ProcessWatch } from "./process-watch.js";
import { ProverError } from "./prover.js";
import type {
  AggregateClaim,
  Prover,
  ProveJob,
  ProverDescription,
  ProverExit,
  SignatureVerdict,
  SignedMessage,
} from "./prover.js";

export interface ProcessProverOptions {
  /** Names the device in errors. */
  deviceId: string;
  /** The compiled `child.js`. */
  childPath: string;
  backend: BackendOptions;
  /**
   * Descriptor of the device's lock (`device-lock.ts`): the process inherits it, so that the lock
   * is held for as long as a prover of the device lives. Absent: no lock.
   */
  lockFd?: number;
  /** Niceness, -20 to 19; 0 leaves the service's own. */
  nice: number;
  /** The cores to run on; empty for all. */
  cores: readonly number[];
  /** The whole environment of the process: see `proverEnvironment`. */
  env: Readonly<Record<string, string>>;
  /** Whom it runs as, in no other group; only root may choose. Absent: the service's own user. */
  user?: ProverUser;
  /** The largest file it may write, in bytes; default 0, none at all. */
  fileBytesMax?: number;
  /** Longest time from fork to ready, in milliseconds; the process is killed after it. */
  startTimeoutMs: number;
  /** Default: the process's own clock and the kernel's counter. */
  watch?: ProcessWatch;
}

export interface ProverUser {
  uid: number;
  gid: number;
}

/** What of the service's environment a prover may see, and the device's own variables over it. */
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

/** Forks the process; what it lacks to be of use is told by `ready`. */
export function forkProver(options: ProcessProverOptions): Prover {
  const { nice, cores, startTimeoutMs, deviceId, fileBytesMax = 0 } = options;
  const { library, config } = options.backend;
  const backend = { library, config };
  const start: ChildStart = { type: "start", backend, nice, cores: [...cores], fileBytesMax };
  const watch = options.watch ?? { nowMs: () => performance.now(), oomKills: readOomKills };
  const child = new ProverChild(forkChild(options), start, watch);
  const timer = setTimeout(() => {
    child.endBecause("start_failed", `not ready after ${String(startTimeoutMs)} ms`);
  }, startTimeoutMs);
  void child.ready.catch(() => undefined).finally(() => clearTimeout(timer));
  return new ProcessProver(child, deviceId);
}

/** As `forkProver`, once it is ready. Rejects with `ProverError("start_failed")`. */
export async function startProcessProver(options: ProcessProverOptions): Promise<Prover> {
  const prover = forkProver(options);
  await prover.ready;
  return prover;
}

function forkChild({ childPath, deviceId, env, lockFd, user }: ProcessProverOptions): ChildProcess {
  const inherited = lockFd === undefined ? [] : [lockFd];
  // The device is for whoever lists processes; the prover reads no argument.
  return spawn(process.execPath, [childPath, deviceId], {
    env: { ...env },
    stdio: ["ignore", "ignore", "pipe", "pipe", ...inherited],
    ...user,
  });
}

/** A buffer of its own: never a view on a pool that other data shares. */
function packed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function packedMessage({ root, slot }: SignedMessage) {
  return { root: packed(root), slot };
}

function packedClaim({ proof, keys }: AggregateClaim) {
  return { proof: packed(proof), keys: packed(keys) };
}

class ProcessProver implements Prover {
  readonly ready: Promise<ProverDescription>;
  private known: ProverDescription | undefined;
  private isProving = false;

  constructor(
    private readonly child: ProverChild,
    deviceId: string,
  ) {
    this.ready = child.ready.then(
      (description) => (this.known = { ...description, fake: false }),
      (cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        const message = `prover of ${deviceId} did not start: ${why}`;
        throw new ProverError("start_failed", message, { cause });
      },
    );
    // Whoever started it may look at `exited` alone.
    this.ready.catch(() => undefined);
  }

  get description(): ProverDescription {
    if (this.known === undefined) throw new Error("the prover is not set up yet");
    return this.known;
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

  heardAtMs(): number {
    return this.child.heardAtMs;
  }

  kill(): void {
    this.child.endBecause("killed_by_us", "killed by the service");
  }

  async verifySignatures(
    message: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
  ): Promise<SignatureVerdict[]> {
    const count = signerCountOf(this.description, keys, signatures);
    return this.child.request(
      {
        op: "verifySignatures",
        message: packedMessage(message),
        keys: packed(keys),
        signatures: packed(signatures),
      },
      (value) => parseVerdicts(value, count),
    );
  }

  async verifyAggregate(message: SignedMessage, claim: AggregateClaim): Promise<boolean> {
    keyCountOf(this.description, claim.keys);
    return this.child.request(
      { op: "verifyAggregate", message: packedMessage(message), claim: packedClaim(claim) },
      parseBoolean,
    );
  }

  async aggregate(job: ProveJob): Promise<Uint8Array> {
    const { message, keys, signatures, children, logInvRate } = job;
    // What was reserved for it: a backend may claim more, or none at all.
    const proofBytesMax = Math.min(
      this.description.proofBytesMax || Infinity,
      limits.proofBytesMax,
    );
    signerCountOf(this.description, keys, signatures);
    for (const child of children) keyCountOf(this.description, child.keys);
    if (this.isProving) throw new ProverError("internal", "a proof is running already");
    this.isProving = true;
    try {
      return await this.child.request(
        {
          op: "aggregate",
          message: packedMessage(message),
          keys: packed(keys),
          signatures: packed(signatures),
          children: children.map(packedClaim),
          logInvRate,
        },
        (value) => parseProof(value, proofBytesMax),
      );
    } finally {
      this.isProving = false;
    }
  }
}
