/** The file in which `tune --out` keeps what it measured, and from which `plan --costs` reads it. */
import { z } from "zod";
import { limits } from "../../server/limits.js";
import type { Layout } from "./layouts.js";
import type { LayoutFigures } from "./measure.js";

const count = z.int().min(0).max(1_000_000);
const layout = z.strictObject({
  lanes: z.int().min(1).max(limits.devicesMax),
  coresEach: z.int().min(1).max(1024),
  /** Threads of each prover; 0: one for each core. */
  threads: count,
  /** Bytes that its largest prover held at most; 0: unknown. */
  proverBytes: z.number().min(0),
  /** Bytes that its largest prover held after its set-up, as a standby does; 0: unknown. */
  setupBytes: z.number().min(0).default(0),
  problem: z.string().optional(),
  shapes: z
    .array(
      z.strictObject({
        raws: count,
        children: count,
        proofsPerSecond: z.number().positive(),
        tookMs: z.array(z.number().min(0)).min(1).max(100_000),
      }),
    )
    .max(64),
});

export const tuneFileSchema = z.strictObject({
  /** Names the kind of file. */
  measuredBy: z.literal("lean-aggregator tune"),
  fake: z.boolean(),
  /** When, and on what. */
  at: z.string(),
  processor: z.string(),
  cores: count,
  memoryBytes: z.number(),
  layouts: z.array(layout).max(256),
});

export type TuneFile = z.infer<typeof tuneFileSchema>;

export interface TuneHost {
  isFake: boolean;
  at: string;
  processor: string;
  cores: number;
  memoryBytes: number;
}

export function tuneFileOf(layouts: readonly LayoutFigures[], host: TuneHost): TuneFile {
  const { isFake, ...rest } = host;
  return {
    measuredBy: "lean-aggregator tune",
    fake: isFake,
    ...rest,
    layouts: layouts.map(({ layout: of, shapes, proverBytes, setupBytes, problem }) => ({
      ...sizes(of),
      proverBytes,
      setupBytes,
      ...(problem !== undefined && { problem }),
      shapes: shapes.map(({ shape, proofsPerSecond, tookMs }) => ({
        raws: shape.raws,
        children: shape.children,
        proofsPerSecond: rounded(proofsPerSecond),
        tookMs: tookMs.map(rounded),
      })),
    })),
  };
}

function sizes({ cores, threads }: Layout) {
  return { lanes: cores.length, coresEach: cores[0]?.length ?? 0, threads };
}

const rounded = (value: number) => Math.max(0.001, Math.round(value * 1000) / 1000);
