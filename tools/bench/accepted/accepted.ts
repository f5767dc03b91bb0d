/**
 * `make accepted`: of the groups that a service with the real prover accepts, the share that is
 * proved before its fence, and of their votes, at half and at full load. See `--help`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { z } from "zod";
import { exitOnSignals } from "../../harness/processes/end-with-process.js";
import { table } from "../report.js";
import { withService } from "../with-service.js";
import { openLoad } from "./load.js";
import type { AcceptedOptions } from "./options.js";
import { parseOptions, usage } from "./options.js";
import type { Counts } from "./tally.js";
import { noCounts, rowOf, shares, wilson } from "./tally.js";

const FILE = "out/accepted.json";
const PROGRESS_MS = 30_000;
/** Of groups and of votes at a load of at most `GOAL_LOAD`. */
const GOAL = 0.996;
const GOAL_LOAD = 0.5;

const say = (text: string) => process.stdout.write(`${text}\n`);
const tell = (text: string) => process.stderr.write(`${text}\n`);

const countsSchema = z.strictObject({
  groups: z.int(),
  votes: z.int(),
  groupsInTime: z.int(),
  votesInTime: z.int(),
  cancelled: z.int(),
  endings: z.record(z.string(), z.int()),
  skipped: z.record(z.string(), z.int()),
});
const keptSchema = z.strictObject({
  settings: z.string(),
  counts: z.array(z.tuple([z.number(), countsSchema])),
});

/** The counts of each load, kept in a file, so that a run can be gone on with. */
class Kept {
  readonly counts = new Map<number, Counts>();
  private readonly settings: string;

  constructor({ nodes, raws, deadlineMs, fenceMs, fake, resume }: AcceptedOptions) {
    this.settings = JSON.stringify({ nodes, raws, deadlineMs, fenceMs, fake });
    if (!resume || !existsSync(FILE)) return;
    const kept = keptSchema.parse(JSON.parse(readFileSync(FILE, "utf8")));
    if (kept.settings !== this.settings) {
      throw new Error(`${FILE} is of other options (${kept.settings}): leave --resume out`);
    }
    this.counts = new Map(kept.counts);
  }

  of(load: number): Counts {
    const counts = this.counts.get(load) ?? noCounts();
    this.counts.set(load, counts);
    return counts;
  }

  write(): void {
    mkdirSync("out", { recursive: true });
    const content = { settings: this.settings, counts: [...this.counts] };
    writeFileSync(FILE, `${JSON.stringify(content, null, 1)}\n`);
  }

  report(): void {
    say("");
    for (const line of table([...this.counts].map(([load, counts]) => rowOf(load, counts)))) {
      say(line);
    }
    for (const [load, { endings, skipped }] of this.counts) {
      say(`load ${load}: ended ${listed(endings)}; not accepted ${listed(skipped)}`);
    }
  }
}

function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, many]) => `${many} ${name}`);
  return parts.join(", ") || "none";
}

/** True when nothing was accepted, or when the interval of a share is wholly below the goal. */
function isMissed(counts: Counts): boolean {
  if (counts.groups === 0) return true;
  const { groups, votes } = shares(counts);
  return [groups, votes].some((share) => wilson(share, counts.groups)[1] < GOAL);
}

async function main(options: AcceptedOptions): Promise<number> {
  const { groups, minutes, loads, fake } = options;
  const kept = new Kept(options);
  let isStopped = false;
  exitOnSignals(["SIGHUP"]);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (isStopped) process.exit(1);
      isStopped = true;
      tell("ending: what runs is waited for; once more ends at once");
    });
  }
  say(
    `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? "?"}, load ${loadavg()[0]?.toFixed(1) ?? "?"} before`,
  );
  if (fake) say("FAKE: proofs are simulated");
  await withService(
    async (service) => {
      if (!fake) await service.process.fullStrength();
      const load = await openLoad(service.address, options);
      for (const share of loads) {
        if (isStopped) break;
        const counts = kept.of(share);
        const untilMs = performance.now() + minutes * 60_000;
        const progress = () => {
          const left = ((groups - counts.groups) * load.typicalMs()) / share / 60_000;
          const rest = Math.min(left, (untilMs - performance.now()) / 60_000);
          const done = `${counts.groupsInTime} of ${counts.groups} groups in time`;
          tell(
            `load ${share}: ${done}, one takes ${Math.round(load.typicalMs())} ms; about ${Math.max(0, rest).toFixed(0)} min left`,
          );
          kept.write();
        };
        const timer = setInterval(progress, PROGRESS_MS);
        progress();
        const isOver = () => isStopped || counts.groups >= groups || performance.now() >= untilMs;
        await load.run(share, counts, isOver).finally(() => clearInterval(timer));
      }
      load.close();
    },
    fake ? ["--prover", "fake", "--fake-accepts", "any"] : ["--standby", "1"],
  ).finally(() => {
    kept.write();
    kept.report();
  });
  const judged = [...kept.counts].filter(([load]) => load <= GOAL_LOAD);
  const isGoalMissed = judged.some(([, counts]) => isMissed(counts));
  const found = isGoalMissed ? "goal missed" : `no share at half load is surely below ${GOAL}`;
  say(judged.length === 0 ? `nothing is judged: no load is at most ${GOAL_LOAD}` : found);
  return isGoalMissed ? 1 : 0;
}

if (process.argv.includes("--help")) say(usage);
else {
  try {
    process.exit(await main(parseOptions(process.argv.slice(2))));
  } catch (error) {
    tell(`accepted: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
