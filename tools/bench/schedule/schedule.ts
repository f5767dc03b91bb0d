/**
 * `make bench-schedule`: what a door's schedule costs with many nodes and lanes, without bytes,
 * sockets or provers. Virtual time: the CPU time of a run is divided by the time that it stands for.
 */
import { wholeNumber } from "../../harness/whole-number.js";
import { sectionText } from "../report.js";
import { BenchDoor } from "./door.js";

/** Nodes, and as many lanes: of the arguments, or else of the fleets that cells may have. */
const sizes = process.argv.slice(2).map((text) => wholeNumber(text, 1, `"${text}" is no size`));
const fleets = sizes.length > 0 ? sizes : [16, 64, 128, 256];
const WARM_UP_SLOTS = 1;
const MEASURED_SLOTS = 4;
const CPU_PERCENT_MAX = 40;

const figures = fleets.map((size) => {
  const { endings, ...rest } = new BenchDoor(size, size).run(WARM_UP_SLOTS, MEASURED_SLOTS);
  const ended = Object.entries(endings).sort(([a], [b]) => a.localeCompare(b));
  const groups = ended.map(([ending, count]) => `${ending}:${count}`).join(" ");
  return { nodes: size, lanes: size, ...rest, groups };
});
const section = {
  title: "schedule: 4 groups of each node every 4 s, proofs of 2 s",
  rows: figures,
  goals: [
    {
      what: `share of a core with ${fleets.at(-1) ?? 0} nodes and lanes`,
      value: figures.at(-1)?.cpuPercent ?? NaN,
      atMost: CPU_PERCENT_MAX,
      unit: " %",
    },
  ],
  notes: ["groups: how many ended with each status/reason of the wire"],
};
process.stdout.write(`${sectionText(section)}\n`);
