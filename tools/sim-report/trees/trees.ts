/**
 * `make sim-trees`: how fast large groups are proved as trees of jobs on 1 to 16 devices, simulated; prints
 * the page docs/figures/trees.md.
 */
import type { FoldsOfProver } from "../../sim/sim-prover.js";
import type { TreeResult } from "./tree-run.js";
import { runTree } from "./tree-run.js";

const SEEDS = [1, 2, 3, 4, 5];
const DEVICES = [1, 2, 4, 8, 16];
const SIGNATURES = [400, 1000, 2048, 4096];
/** The limits of the RISC-V leanVM. */
const folds: FoldsOfProver = {
  rawsMax: 400,
  rawsBesideMax: 400,
  separatesRaws: true,
  arities: 0b10100,
};

const intro = `# Large groups as trees of jobs, simulated

Printed by \`make sim-trees\`: the real schedule and lanes on virtual time, median of ${SEEDS.length} runs. Each
device has 16 cores, and has learned before what leaves and folds cost. Proofs take what was measured on 16 cores of one Xeon
with \`py-lean-pq\` 0.7.0, give or take 7 %: 128 and 512 raw signatures 0.82 and 2.9 s, folds of two and four proofs 0.98 and
1.7 s; larger proofs by the straight line through these. A leaf has at most 400 raw signatures, and a fold two or
four proofs ([decision 23](../adr/0023-a-large-group-is-a-tree-of-jobs.md)). Seconds from the snapshot to the
verified proof:`;

const about = `*One proof* is the same group without a limit, on one device: on one device a tree gains nothing, and is there for
what cannot be one proof. Leaves run side by side, and each level of folds takes one fold's time, so
more devices than leaves make nothing faster.`;

async function medianOf(
  signatures: number,
  devices: number,
  of: FoldsOfProver,
): Promise<TreeResult> {
  const all: TreeResult[] = [];
  for (const seed of SEEDS) all.push(await runTree({ seed, signatures, devices, folds: of }));
  all.sort((a, b) => a.readyMs - b.readyMs);
  const median = all[Math.floor(SEEDS.length / 2)];
  if (median === undefined) throw new Error("no run");
  return median;
}

const seconds = ({ readyMs }: TreeResult) =>
  readyMs === Infinity ? "none" : (readyMs / 1000).toFixed(1);

const rows: string[][] = [];
for (const signatures of SIGNATURES) {
  const one = await medianOf(signatures, 1, {});
  const trees: TreeResult[] = [];
  for (const devices of DEVICES) trees.push(await medianOf(signatures, devices, folds));
  const { leaves = 0, folds: folded = 0 } = trees[0]?.jobs ?? {};
  rows.push([`${signatures}`, `${leaves}, ${folded}`, ...trees.map(seconds), seconds(one)]);
}
const headers = [
  "signatures",
  "leaves, folds",
  ...DEVICES.map((devices) => (devices === 1 ? "1 device" : `${devices} devices`)),
  "one proof",
];
const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const table = [line(headers), line(headers.map(() => "---")), ...rows.map(line)].join("\n");
process.stdout.write(`${[intro, table, about].join("\n\n")}\n`);
