/** The options of `make accepted`. Pure. */
import { parseArgs } from "node:util";

export interface AcceptedOptions {
  /** Accepted groups to count at each load. */
  groups: number;
  /** Time for each load; what is counted by then is printed. */
  minutes: number;
  /** Shares of a prover's time that the groups need together. */
  loads: readonly number[];
  /** Nodes; each submits one group a round. */
  nodes: number;
  /** Raw signatures of a group. */
  raws: number;
  deadlineMs: number;
  fenceMs: number;
  /** Adds to the counts of an earlier run with the same options. */
  resume: boolean;
  /** Simulated proofs, to try the bench itself. */
  fake: boolean;
}

export const usage = [
  "make accepted [ARGS=…]: of the groups that the service accepts, how many it proves in time; over 2 h",
  "",
  "  --groups 5000      accepted groups to count at each load",
  "  --minutes 180      time for each load; it prints what it has by then",
  "  --loads 0.5,1      share of the prover's time that the groups need together",
  "  --nodes 2          nodes; each submits one group a round, all within 200 ms",
  "  --raws 4           raw signatures of a group, 1 to 16",
  "  --deadline-ms 4000 --fence-ms 6400",
  "  --resume           adds to the counts in out/accepted.json, of the same options",
  "  --fake             simulated proofs, to try the bench itself",
  "",
  "A service with the real prover runs alone on this machine. The length of a round follows what proofs",
  "take. Groups that were cancelled or superseded are counted apart. Shares are printed with their 95 %",
  "interval (Wilson). Ctrl-C prints what was counted so far and keeps it; a second one ends at once.",
  "Exit code 1 when a share at half load is below its goal, 99.6 %, with the whole interval, or when",
  "nothing was accepted there.",
].join("\n");

/** Throws an error that names the flag. */
export function parseOptions(args: readonly string[]): AcceptedOptions {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      groups: text("5000"),
      minutes: text("180"),
      loads: text("0.5,1"),
      nodes: text("2"),
      raws: text("4"),
      "deadline-ms": text("4000"),
      "fence-ms": text("6400"),
      resume: { type: "boolean", default: false },
      fake: { type: "boolean", default: false },
    },
  });
  const number = (name: keyof typeof values, min: number, max: number, given = values[name]) => {
    const value = Number(given);
    if (given !== "" && value >= min && value <= max) return value;
    throw new Error(`--${name} is ${String(given)}: expected a number from ${min} to ${max}`);
  };
  const whole = (name: keyof typeof values, min: number, max: number) => {
    const value = number(name, min, max);
    if (Number.isInteger(value)) return value;
    throw new Error(`--${name} is ${value}: expected a whole number`);
  };
  return {
    groups: whole("groups", 1, 1_000_000),
    minutes: number("minutes", 0.1, 10_000),
    loads: values.loads.split(",").map((load) => number("loads", 0.05, 4, load)),
    nodes: whole("nodes", 1, 16),
    raws: whole("raws", 1, 16),
    deadlineMs: whole("deadline-ms", 1, 60_000),
    fenceMs: whole("fence-ms", 1, 120_000),
    resume: values.resume,
    fake: values.fake,
  };
}
