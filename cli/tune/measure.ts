/** Measures one layout: sets its provers up, and makes proofs of each shape on all of them at once. */
import type { ProofJob, Prover } from "../../server/prover/prover.js";
import { ProverError } from "../../server/prover/prover.js";
import type { Shape } from "../../server/work/shape.js";
import type { Layout } from "./layouts.js";
import type { TuneInputs } from "./inputs.js";

/** The figures of one shape, made on all lanes of a layout at once. */
export interface ShapeFigures {
  shape: Shape;
  /** Durations of proofs in milliseconds, in the order in which they ended. */
  tookMs: readonly number[];
  /** Of all lanes together. */
  proofsPerSecond: number;
}

export interface LayoutFigures {
  layout: Layout;
  shapes: readonly ShapeFigures[];
  /** Bytes that the largest of its provers has held at most; 0 where nothing was reported. */
  proverBytes: number;
  /** Bytes that the largest of them held after its set-up; 0 where nothing was reported. */
  setupBytes: number;
  /** Why it was not measured, or not with every shape; undefined when it was. */
  problem: string | undefined;
}

export interface MeasureOptions {
  shapes: readonly Shape[];
  /** Time for the proofs of one shape, in milliseconds; proofs that run at its end are counted. */
  spanMs: number;
  /** Fewest proofs of each shape and lane. */
  leastProofs: number;
}

export interface MeasureModules {
  /** Sets up the prover of a lane; returns at once. */
  startProver(layout: Layout, lane: number): Prover;
  inputs: TuneInputs;
  nowMs(): number;
  /** Most bytes that a process has held so far; 0 where the system does not say. */
  peakBytes(pid: number): number;
  /** True once no further proof may start. */
  isOver(): boolean;
  /** Called at the end of the set-up and of each shape. */
  stepDone(): void;
  /** Called at each proof. */
  proved(shape: Shape): void;
}

/** Why a layout was not measured, or not with every shape, when `isOver` was true. */
export const TIME_IS_UP = "the time was up";

/** Resolves once all provers of the layout have ended. Rejects only by an error of this program. */
export async function measureLayout(
  layout: Layout,
  options: MeasureOptions,
  modules: MeasureModules,
): Promise<LayoutFigures> {
  const provers: Prover[] = [];
  const shapes: ShapeFigures[] = [];
  let problem: string | undefined;
  let [setupBytes, proverBytes] = [0, 0];
  try {
    for (const lane of layout.cores.keys()) provers.push(modules.startProver(layout, lane));
    await Promise.all(provers.map(({ ready }) => ready));
    setupBytes = Math.max(...provers.map((prover) => prover.residentBytes()));
    const child = await warmUp(provers, modules);
    modules.stepDone();
    for (const shape of options.shapes) {
      const request = modules.inputs.request(shape, child);
      const figures = modules.isOver()
        ? undefined
        : await measureShape(provers, shape, request, options, modules);
      if (figures === undefined) {
        problem = TIME_IS_UP;
        break;
      }
      shapes.push(figures);
      modules.stepDone();
    }
  } catch (error) {
    if (!(error instanceof ProverError)) throw error;
    problem = error.message;
  } finally {
    proverBytes = Math.max(0, ...provers.map((prover) => bytesOf(prover, modules)));
    for (const prover of provers) prover.kill();
    await Promise.all(provers.map(({ exited }) => exited));
  }
  return { layout, shapes, proverBytes, setupBytes, problem };
}

/** One proof on each lane, which no figure counts: the first one finds no memory and cold caches. */
async function warmUp(provers: readonly Prover[], { inputs }: MeasureModules) {
  const request = inputs.request({ raws: 1, children: 0 }, undefined);
  const [proof] = await Promise.all(provers.map((prover) => prover.prove(request)));
  return proof;
}

/** Undefined when a lane has made no proof in the time that was left. */
async function measureShape(
  provers: readonly Prover[],
  shape: Shape,
  request: ProofJob,
  { spanMs, leastProofs }: MeasureOptions,
  { nowMs, isOver, proved }: MeasureModules,
): Promise<ShapeFigures | undefined> {
  const lanes = provers.map(() => ({ count: 0, busyMs: 0 }));
  const tookMs: number[] = [];
  const startedMs = nowMs();
  // Every lane goes on until all have enough, so that each proof has the others beside it.
  const isEnough = () =>
    nowMs() - startedMs >= spanMs && lanes.every(({ count }) => count >= leastProofs);
  await Promise.all(
    provers.map(async (prover, at) => {
      const lane = lanes[at];
      while (lane !== undefined && !isEnough() && !isOver()) {
        const beganMs = nowMs();
        await prover.prove(request);
        const took = nowMs() - beganMs;
        lane.count++;
        lane.busyMs += took;
        tookMs.push(took);
        proved(shape);
      }
    }),
  );
  if (lanes.some(({ count }) => count === 0)) return undefined;
  const rates = lanes.map(({ count, busyMs }) => (1000 * count) / Math.max(busyMs, 1));
  return { shape, tookMs, proofsPerSecond: rates.reduce((sum, rate) => sum + rate, 0) };
}

function bytesOf(prover: Prover, { peakBytes }: Pick<MeasureModules, "peakBytes">): number {
  const { pid } = prover;
  return Math.max(prover.residentBytes(), pid === undefined ? 0 : peakBytes(pid));
}
