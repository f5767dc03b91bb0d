/** Measures the layouts of this host one after the other, and prints and writes what was found. */
import { cpus } from "node:os";
import { readMachine } from "../../server/machine/machine.js";
import { readText } from "../../server/machine/control-group.js";
import { limits } from "../../server/limits.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import type { Prover } from "../../server/prover/prover.js";
import type { CommandModules } from "../io/command.js";
import { CommandError, exitCodes, usageError } from "../io/command.js";
import { Progress } from "../io/progress.js";
import { devicesOf, unlike } from "./devices.js";
import type { Goal } from "./goal.js";
import { bestFor } from "./goal.js";
import type { TuneInputs } from "./inputs.js";
import type { Layout } from "./layouts.js";
import { layoutsOf, nameOf, parseLayouts } from "./layouts.js";
import type { LayoutFigures } from "./measure.js";
import { measureLayout, TIME_IS_UP } from "./measure.js";
import { openTuneProvers } from "./provers.js";
import { reportText, shapeName } from "./report.js";
import type { TuneSettings } from "./settings.js";
import { mergedSettings } from "./settings-file.js";
import { TimeLeft } from "./time-left.js";
import { coreList, inOrder, readTopology } from "./topology.js";
import { TuneOutputs } from "./tune-outputs.js";
import type { Shape } from "../../server/work/shape.js";

export interface TuneOptions {
  goal: Goal;
  quick: boolean;
  /** The time after which no further proof starts. */
  minutes: number;
  /** Numbers of raw signatures to measure. */
  raws: readonly number[];
  layouts?: string;
  write?: string;
  out?: string;
  svg?: string;
}

/** Time for the proofs of a shape, and the fewest of each lane. */
const SPAN = { whole: { spanMs: 10_000, leastProofs: 3 }, quick: { spanMs: 2000, leastProofs: 1 } };
/** After the time is up, proofs that run have as long again, but at least this. */
const GRACE_MS_MIN = 30_000;
/** Cores that other work may use at the start, as a share; with more, the figures would be too slow. */
const BUSY_SHARE = 0.25;

export async function runTune(
  config: TuneSettings,
  options: TuneOptions,
  modules: CommandModules,
): Promise<number> {
  const { terminal } = modules;
  const base = baseOf(config);
  const host = hostOf(config);
  const layouts = chosenLayouts(host, options);
  const existing = options.write === undefined ? {} : mergedSettings(options.write);
  const isFake = config.prover === "fake";
  const outputs = new TuneOutputs(options);
  for (const text of warnings(host, isFake)) terminal.err(`${text}\n`);
  const run = new TuneRun(layouts, options, modules);
  const provers = await openTuneProvers(config, base, modules.env);
  try {
    checkRaws(options, provers.inputs);
    await run.measure(provers);
  } finally {
    provers.release();
  }
  const { measured } = run;
  terminal.err(`\n${reportText(measured, isFake)}`);
  const best = bestFor(options.goal, measured);
  if (run.isInterrupted) throw new CommandError("interrupted", "what was measured is above");
  if (best === undefined) {
    await outputs.write(measured, { ...host, isFake });
    const why = measured.find(({ problem }) => problem !== undefined)?.problem ?? "no time";
    const doctor = "run 'lean-aggregator doctor' with the same settings, or give it more --minutes";
    throw new CommandError(`no layout was measured: ${why}`, doctor);
  }
  const devices = devicesOf(best.layout, base);
  terminal.err(
    `\n${isFake ? "FAKE: " : ""}devices for --goal ${options.goal}: ${nameOf(best.layout)}\n`,
  );
  // First of all: they took minutes, and a file may fail.
  if (options.write === undefined) terminal.out(`${JSON.stringify(devices)}\n`);
  await outputs.write(measured, { ...host, isFake }, { ...existing, devices });
  const { write } = options;
  if (write !== undefined)
    terminal.err(`written to ${write}, for 'lean-aggregator serve --config ${write}'\n`);
  return exitCodes.ok;
}

/** The measuring of layouts in a bounded time, with progress. */
class TuneRun {
  readonly measured: LayoutFigures[] = [];
  isInterrupted = false;
  private readonly alive = new Set<Prover>();
  private readonly startedMs = performance.now();
  private readonly span;
  private readonly shapes: readonly Shape[];
  private readonly timeLeft: TimeLeft;
  private doing = "";

  constructor(
    private readonly layouts: readonly Layout[],
    private readonly options: TuneOptions,
    private readonly modules: CommandModules,
  ) {
    this.span = options.quick ? SPAN.quick : SPAN.whole;
    this.shapes = [
      ...options.raws.map((raws) => ({ raws, children: 0 })),
      { raws: 1, children: 1 },
    ];
    const { spanMs } = this.span;
    this.timeLeft = new TimeLeft({ layouts: layouts.length, shapes: this.shapes.length, spanMs });
  }

  private get limitMs(): number {
    return this.options.minutes * 60_000;
  }

  private get elapsedMs(): number {
    return performance.now() - this.startedMs;
  }

  async measure(provers: Awaited<ReturnType<typeof openTuneProvers>>): Promise<void> {
    const { terminal, interrupted } = this.modules;
    interrupted().addEventListener("abort", () => this.end(true), { once: true });
    const graceMs = Math.max(GRACE_MS_MIN, this.limitMs);
    const hung = setTimeout(() => this.end(false), this.limitMs + graceMs);
    const progress = new Progress(() => this.progressText(), terminal);
    try {
      for (const [at, layout] of this.layouts.entries()) {
        if (this.isInterrupted) break;
        this.doing = `layout ${at + 1} of ${this.layouts.length}, ${nameOf(layout)}`;
        const problem = this.obstacle(layout);
        const figures =
          problem === undefined
            ? await this.measureOne(layout, provers)
            : { layout, shapes: [], proverBytes: 0, setupBytes: 0, problem };
        this.measured.push(figures);
        const name = nameOf(layout).padEnd(8);
        progress.clear();
        if (!this.isInterrupted) terminal.err(`${name}  ${problem ?? brief(figures)}\n`);
      }
    } finally {
      clearTimeout(hung);
      progress.stop();
    }
  }

  private async measureOne(
    layout: Layout,
    { startProver, inputs }: Awaited<ReturnType<typeof openTuneProvers>>,
  ): Promise<LayoutFigures> {
    const of = this.doing;
    let steps = 1 + this.shapes.length;
    let proofs = 0;
    this.doing = `${of}: setting ${layout.cores.length} up`;
    const figures = await measureLayout(
      layout,
      { shapes: this.shapes, ...this.span },
      {
        inputs,
        startProver: (...of) => {
          const prover = startProver(...of);
          this.alive.add(prover);
          void prover.exited.then(() => this.alive.delete(prover));
          if (this.isInterrupted) prover.kill();
          return prover;
        },
        nowMs: () => performance.now(),
        peakBytes,
        isOver: () => this.isInterrupted || this.elapsedMs > this.limitMs,
        stepDone: () => {
          steps--;
          proofs = 0;
          this.timeLeft.stepDone();
        },
        proved: (shape) => (this.doing = `${of}: ${shapeName(shape)}, ${++proofs} proofs`),
      },
    );
    this.timeLeft.leaveOut(steps);
    return figures;
  }

  /** Why a layout is not tried; undefined when it is. */
  private obstacle(layout: Layout): string | undefined {
    if (this.elapsedMs > this.limitMs) return TIME_IS_UP;
    const { memoryBytes } = readMachine();
    const each = Math.max(0, ...this.measured.map(({ proverBytes }) => proverBytes));
    const all = each * layout.cores.length;
    const most = (memoryBytes * limits.proverMemoryPercentMax) / 100;
    if (all <= most) return undefined;
    const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    return `${layout.cores.length} provers of ${gb(each)} do not fit into ${limits.proverMemoryPercentMax} % of ${gb(memoryBytes)}`;
  }

  private progressText(): string {
    const seconds = Math.ceil(this.timeLeft.leftMs(this.elapsedMs, this.limitMs) / 1000);
    const left = seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
    return `${this.doing}; about ${left} left`;
  }

  private end(isInterrupted: boolean): void {
    this.isInterrupted = isInterrupted;
    for (const prover of this.alive) prover.kill();
  }
}

interface Host {
  /** The cores to divide, in such an order that neighbours share caches. */
  coresInOrder: readonly number[];
  processorsPerCore: number;
  at: string;
  processor: string;
  cores: number;
  memoryBytes: number;
}

/** The device whose copies are measured and written. Throws `CommandError` where another is unlike it. */
function baseOf({ devices }: TuneSettings): DeviceConfig {
  const [base] = devices;
  if (base === undefined) throw usageError("--devices names no device", "name one");
  const odd = unlike(devices);
  if (odd === undefined) return base;
  const keys = odd.keys.map((key) => `"${key}"`).join(", ");
  throw usageError(
    `devices ${base.id} and ${odd.id} differ in ${keys}, and tune makes all devices alike`,
    "tune each with a settings file of its own, and join the lists that it writes",
  );
}

function hostOf({ devices }: TuneSettings): Host {
  const { cores: count, quotaCores, memoryBytes } = readMachine();
  const named = devices.flatMap(({ cores }) => cores);
  const found = named.length > 0 ? inOrder(named) : readTopology(count);
  const coresInOrder = found.cores.slice(0, Math.max(1, Math.ceil(quotaCores)));
  return {
    coresInOrder,
    processorsPerCore: found.processorsPerCore,
    at: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: coresInOrder.length,
    memoryBytes,
  };
}

function chosenLayouts(
  { coresInOrder, processorsPerCore }: Host,
  { layouts, quick }: TuneOptions,
): Layout[] {
  if (layouts === undefined) return layoutsOf(coresInOrder, quick ? 1 : processorsPerCore);
  const parsed = parseLayouts(layouts, coresInOrder);
  if (parsed !== undefined) return parsed;
  throw usageError(
    `--layouts ${layouts} is no list of lanes x cores for ${coresInOrder.length} cores`,
    `write it as 1x${coresInOrder.length},2x1, at most ${limits.devicesMax} lanes each`,
  );
}

/** Throws `CommandError` when there are too few votes. */
function checkRaws({ raws }: TuneOptions, { rawsMax }: TuneInputs): void {
  const tooMany = raws.find((count) => count > rawsMax);
  if (tooMany === undefined) return;
  throw usageError(
    `--raws ${tooMany} is more than the ${rawsMax} ${rawsMax === 1 ? "vote" : "votes"} of the calibration`,
    `name at most ${rawsMax}, or add votes under "more" of the backend's calibration`,
  );
}

function warnings({ coresInOrder }: Host, isFake: boolean): string[] {
  if (isFake) return ["FAKE: the prover simulates proofs, and no figure is of a proof"];
  const load = Number(readText("/proc/loadavg").split(" ")[0]) || 0;
  const isBusy = load > coresInOrder.length * BUSY_SHARE;
  const busy = `other work uses about ${load.toFixed(1)} cores now: proofs will look slower than they are`;
  return [`cores ${coreList(coresInOrder)}`, ...(isBusy ? [busy] : [])];
}

function brief({ shapes, problem }: LayoutFigures): string {
  if (problem !== undefined) return `not measured whole: ${problem}`;
  const rates = shapes.map(
    ({ shape, proofsPerSecond }) => `${shapeName(shape)} ${proofsPerSecond.toFixed(2)}/s`,
  );
  return rates.join(", ");
}

/** The most bytes that a process has held, as Linux counts them. */
function peakBytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readText(`/proc/${pid}/status`))?.[1];
  return 1024 * Number(kilobytes ?? 0);
}
