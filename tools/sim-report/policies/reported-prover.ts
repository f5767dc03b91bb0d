/** A simulated prover that takes its times from the truth and keeps a record of each proof. */
import type { ProofJob } from "../../../server/prover/prover.js";
import type { Shape } from "../../../server/work/shape.js";
import { KEY_BYTES } from "../../sim/work/sim-keys.js";
import { SimProver } from "../../sim/sim-prover.js";
import type { VirtualClock } from "../../sim/virtual-clock.js";
import type { GroupSpec } from "../scenario/group-spec.js";
import { contentOf } from "../scenario/scenario.js";
import type { ProofRecord } from "../measure/run.js";
import type { Truth } from "../scenario/truth.js";
import { EXIT_MS, SETUP_MS, VERIFY_MS } from "../scenario/truth.js";

/** A proof that runs, with what only the simulator knows. */
export interface OpenProof {
  record: ProofRecord;
  group: GroupSpec;
  shape: Shape;
  /** When it would end, verified, if nobody stopped it. */
  freeAtMs: number;
}

export interface ReportedProverModules {
  lane: number;
  clock: VirtualClock;
  truth: Truth;
  groupOf(root: string): GroupSpec;
  /** How many attempts at this content there have been; counts this one. */
  countAttempt(content: string): number;
  started(proof: OpenProof): void;
  /** The service kills it; `over` follows when the process has ended. */
  killed(proof: OpenProof): void;
  over(): void;
}

export class ReportedProver extends SimProver {
  private current: OpenProof | undefined;

  constructor(private readonly modules: ReportedProverModules) {
    const { lane, clock, truth, groupOf } = modules;
    super(
      {
        device: `cpu${lane}`,
        setupMs: SETUP_MS,
        doesStart: true,
        exitMs: EXIT_MS,
        verifyMs: () => VERIFY_MS,
        proveMs: (shape, root) => truth.proveMs(lane, groupOf(root), shape),
        residentBytes: () => 0.5e9,
      },
      clock,
      { started: () => undefined, proofStarted: () => undefined, ended: () => undefined },
    );
  }

  override async prove(job: ProofJob): Promise<Uint8Array> {
    const { lane, clock, truth, groupOf, countAttempt, started, over } = this.modules;
    const group = groupOf(Buffer.from(job.wanted[0]?.root ?? []).toString("hex"));
    const raws = job.raws.reduce((sum, { keys }) => sum + keys.length / KEY_BYTES, 0);
    const shape = { raws, children: job.children.length };
    const claims = [...job.raws, ...job.children.flatMap((child) => child.claims)];
    const content = contentOf(
      group.root,
      claims.flatMap(({ keys }) => validatorsOf(keys)),
    );
    const startedAtMs = clock.nowMs();
    const tookMs = truth.proveMs(lane, group, shape);
    const record: ProofRecord = {
      lane,
      content,
      startedAtMs,
      endedAtMs: startedAtMs,
      end: "died",
      served: 0,
    };
    const freeAtMs = startedAtMs + tookMs + VERIFY_MS;
    const proof = { record, group, shape, freeAtMs };
    this.current = proof;
    started(proof);
    if (truth.crashes(content, countAttempt(content))) {
      clock.at(startedAtMs + tookMs / 2, () => this.die("crash"));
    }
    try {
      const bytes = await super.prove(job);
      record.end = "proved";
      return bytes;
    } finally {
      record.endedAtMs = clock.nowMs();
      this.current = undefined;
      over();
    }
  }

  override kill(): void {
    if (this.current !== undefined && this.isServing) this.modules.killed(this.current);
    super.kill();
  }
}

export function keysOf(validators: readonly number[]): Uint8Array {
  const keys = new Uint8Array(validators.length * KEY_BYTES);
  const view = new DataView(keys.buffer);
  validators.forEach((validator, at) => view.setUint32(at * KEY_BYTES, validator + 1));
  return keys;
}

function validatorsOf(keys: Uint8Array): number[] {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  return Array.from(
    { length: keys.length / KEY_BYTES },
    (_, at) => view.getUint32(at * KEY_BYTES) - 1,
  );
}
