/**
 * Makes inputs for one target and runs them. The same seed and corpus give the same inputs; what
 * coverage adds to the corpus is written down by the caller.
 */
import { createHash } from "node:crypto";
import { Random } from "../../sim/random.js";
import { mutateBytes, splice } from "./mutate-bytes.js";
import type { FuzzRun, FuzzTarget } from "./target.js";

/** A machine may be busy with something else once; an input is slow when it always is. */
const TRIES_OF_SLOW = 4;
const SHRINK_RUNS_MAX = 400;

export interface Finding {
  input: Uint8Array;
  /** What went wrong, with the stack where there is one. */
  error: string;
}

export class Fuzzer {
  executions = 0;
  readonly corpus: Uint8Array[];
  private readonly random: Random;

  constructor(
    private readonly target: FuzzTarget,
    private readonly instance: FuzzRun,
    options: { seed: number; corpus: readonly Uint8Array[] },
  ) {
    this.random = new Random(options.seed);
    this.corpus = [...target.seeds(), ...options.corpus].map((input) => this.cut(input));
  }

  /** A new input, made of the corpus. */
  next(): Uint8Array {
    const { random, target } = this;
    const from = random.pick(this.corpus);
    if (random.chance(0.05)) return this.cut(splice(from, random.pick(this.corpus), random));
    const isAlongStructure = target.mutate !== undefined && random.chance(0.7);
    const mutate = isAlongStructure ? target.mutate : mutateBytes;
    return this.cut(mutate?.(from, random) ?? from);
  }

  /** Runs an input; what is wrong with it, if anything is. */
  async try(input: Uint8Array): Promise<Finding | undefined> {
    const { msMax, msPerKb } = this.target;
    const allowedMs = Math.max(msMax, (msPerKb * input.length) / 1024);
    let tookMs = Infinity;
    for (let tries = 0; tries < TRIES_OF_SLOW && tookMs > allowedMs; tries++) {
      this.executions++;
      const startedMs = performance.now();
      // Its own copy, and not a view: what the target keeps of it, it must not share.
      const error = await failureOf(this.instance, input.slice());
      if (error !== undefined) return { input, error };
      tookMs = Math.min(tookMs, performance.now() - startedMs);
    }
    if (tookMs <= allowedMs) return undefined;
    const error = `slow: ${tookMs.toFixed(1)} ms for ${input.length} bytes, at most ${allowedMs} ms`;
    return { input, error };
  }

  /** A shorter input with the same first line of error. */
  async shrink(finding: Finding): Promise<Finding> {
    let best = finding;
    const deadlineAtMs = performance.now() + 5000;
    let runs = 0;
    for (let size = finding.input.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < best.input.length;) {
        if (runs++ >= SHRINK_RUNS_MAX || performance.now() > deadlineAtMs) return best;
        const head = best.input.subarray(0, at);
        const input = new Uint8Array(Buffer.concat([head, best.input.subarray(at + size)]));
        const error = await failureOf(this.instance, input.slice());
        if (error !== undefined && kindOf({ input, error }) === kindOf(finding)) {
          best = { input, error };
        } else at += size;
      }
    }
    return best;
  }

  private cut(input: Uint8Array): Uint8Array {
    return input.length > this.target.bytesMax ? input.slice(0, this.target.bytesMax) : input;
  }
}

/** The same mistake has the same kind, whatever figures it comes with. */
export const kindOf = ({ error }: Finding) => firstLine(error).replace(/\d+(\.\d+)?/g, "#");

export const firstLine = (text: string) => text.split("\n", 1)[0] ?? "";

/** A short name for an input, by its content. */
export const nameOf = (input: Uint8Array) =>
  createHash("sha256").update(input).digest("hex").slice(0, 12);

/** Runs one input and waits a turn of the loop, for rejections that nobody handles show only then. */
async function failureOf(instance: FuzzRun, input: Uint8Array): Promise<string | undefined> {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    await instance.run(input);
    await new Promise((resolve) => setImmediate(resolve));
  } catch (error) {
    return textOf(error);
  } finally {
    process.off("unhandledRejection", note);
  }
  const [first] = unhandled;
  return unhandled.length === 0 ? undefined : `unhandled rejection: ${textOf(first)}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
