/** Samples of both RPC stacks, taken in rounds, and how they compare. */
import type { Row } from "./report.js";
import { quantile, spread } from "./statistics.js";

export const STACKS = ["data plane", "edge"] as const;
export type Stack = (typeof STACKS)[number];

/** Of one call, in milliseconds. */
export interface Sample {
  tookMs: number;
  /** The server's processor time. */
  cpuMs: number;
  /** With the calls that the session's end took; absent where there were no such calls. */
  sessionCpuMs?: number;
}

type Round = Record<Stack, Sample[]>;

export class Comparison {
  private readonly rounds: Round[] = [];

  constructor(readonly what: string) {}

  /** Takes `count` samples of each stack in alternating blocks; each stack is first in turn. */
  async addRound(
    count: number,
    block: number,
    sample: (stack: Stack) => Promise<Sample>,
  ): Promise<void> {
    const round: Round = { "data plane": [], edge: [] };
    const blocks = Math.ceil(count / block);
    for (let i = 0; i < blocks; i++) {
      const isEdgeFirst = (i + this.rounds.length) % 2 === 1;
      for (const stack of isEdgeFirst ? [...STACKS].reverse() : STACKS)
        for (let call = i * block; call < Math.min(count, (i + 1) * block); call++)
          round[stack].push(await sample(stack));
    }
    this.rounds.push(round);
  }

  /** One for each stack. */
  rows(): Row[] {
    return STACKS.map((stack) => {
      const samples = this.all(stack);
      const took = samples.map(({ tookMs }) => tookMs);
      const sessionCpuMs = sessionCpu(samples);
      return {
        what: this.what,
        stack,
        samples: samples.length,
        p50Ms: quantile(took, 0.5),
        p95Ms: quantile(took, 0.95),
        p99Ms: quantile(took, 0.99),
        cpuMs: cpu(samples),
        ...(!Number.isNaN(sessionCpuMs) && { sessionCpuMs }),
      };
    });
  }

  /** Edge over data plane: of all samples, and the median and quartiles of the rounds' ratios. */
  ratios(): Row {
    const session = this.ratio(sessionCpu);
    return {
      what: this.what,
      p50: this.ratio(took(0.5)),
      p95: this.ratio(took(0.95)),
      p99: this.p99Ratio(),
      roundP50: this.roundRatios(took(0.5)),
      roundP95: this.roundRatios(took(0.95)),
      roundP99: this.roundRatios(took(0.99)),
      cpu: this.cpuRatio(),
      roundCpu: this.roundRatios(cpu),
      ...(!Number.isNaN(session) && { sessionCpu: session }),
    };
  }

  p99Ratio(): number {
    return this.ratio(took(0.99));
  }

  cpuRatio(): number {
    return this.ratio(cpu);
  }

  private ratio(figure: (samples: readonly Sample[]) => number): number {
    return figure(this.all("edge")) / figure(this.all("data plane"));
  }

  private roundRatios(figure: (samples: readonly Sample[]) => number): string {
    const ratios = this.rounds.map((round) => figure(round.edge) / figure(round["data plane"]));
    const { median, q1, q3 } = spread(ratios);
    return `${median.toFixed(2)} (${q1.toFixed(2)}-${q3.toFixed(2)})`;
  }

  private all(stack: Stack): Sample[] {
    return this.rounds.flatMap((round) => round[stack]);
  }
}

function took(q: number): (samples: readonly Sample[]) => number {
  return (samples) =>
    quantile(
      samples.map(({ tookMs }) => tookMs),
      q,
    );
}

function cpu(samples: readonly Sample[]): number {
  return mean(samples.map(({ cpuMs }) => cpuMs));
}

function sessionCpu(samples: readonly Sample[]): number {
  return mean(samples.map(({ sessionCpuMs = NaN }) => sessionCpuMs));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
