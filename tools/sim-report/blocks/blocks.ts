/**
 * `make sim-blocks`: what votes and bodies get of provers that they share, simulated; prints the page
 * docs/figures/blocks.md.
 */
import { mergeGroup } from "./block-work.js";
import { BlockRun } from "./block-run.js";
import type { BlockScenario, By } from "./block-scenario.js";
import { proofMs } from "./block-provers.js";
import type { BlockMeasures } from "./measure-blocks.js";
import { measureBlocks } from "./measure-blocks.js";
import { shapeOf } from "../../../server/work/shape.js";

/** Blocks a row. */
const SLOTS = 100;
/** A block that comes later than so much of its slot is no longer voted for. */
const VOTE_INTERVAL = 1 / 5;

const usual: BlockScenario = {
  seed: 1,
  by: "service",
  lanes: 1,
  cores: 2,
  slotMs: 4000,
  slots: SLOTS,
  aggregators: 1,
  votes: 32,
  known: null,
  hasFresh: true,
  hasBlockProofs: false,
  kills: 0,
};

const intro = `# Votes and bodies on shared provers, simulated

Printed by \`make sim-blocks\`: the real sessions, schedule and lanes on virtual time, ${SLOTS} slots a row after 40 in
which the service learns its devices. Proofs take what was measured on cores of one Xeon with
\`py-lean-pq\` 0.7.0 (\`tools/sim-report/measured\`), give or take 7 %. 32 votes a group, which come in interval 2
within 200 ms and have 750 ms to start. No faults, unless a row says so.`;

const oneLane = `## Votes beside bodies, on one lane

For each slot a body grows in the slot before, as the adapters' candidate does: of two messages that are proved
already, and of those of the slot's own votes. In the last row the two are proved one after the other: the body
of the first waits meanwhile, and that of both replaces it. *Worker*: the same prover takes everything in the order in which it comes, with no
deadline, so that votes are late, but not lost. *Without the rule*: the service starts a body whenever a lane
is idle, and votes that cannot start within 750 ms are lost
([decision 22](../adr/0022-a-merge-is-all-or-nothing.md)).`;

const eight = `## Bodies of many messages at slots of 4 s, on enough lanes

Eight lanes of 16 cores; the messages are known when the block before is there, 120 ms into its slot. A block has at most
eight; the others show where a slot ends. *Full*: the body proof has all of them at the slot's start (goal 95 %). The adapters'
candidate asks for all, and for half of what the service foresees to miss: 8 messages take 3.1 s, 9 3.5 s, and 16 6.1 s. *Signed to proof*: from the block's signature to the spec's block proof, of the body that was
there and the proposer's signature, made in each slot of another run. No proposal is missed for a body: it is taken
or left at the slot's start.`;

const inline = `## The same bodies, merged inside the proposer's tick

The whole body is merged at the slot's start, on 16 cores of the node's own. A block that is later than interval 1, 800 ms,
is missed by those who vote.`;

const percent = (share: number) => `${(100 * share).toFixed(0)}`;
const seconds = (ms: number) => (ms === Infinity ? "none" : (ms / 1000).toFixed(2));

async function measured(part: Partial<BlockScenario>): Promise<BlockMeasures> {
  const scenario = { ...usual, ...part };
  return measureBlocks(scenario, await new BlockRun(scenario).result());
}

async function oneLaneRows(): Promise<string[][]> {
  const networks: [string, Partial<BlockScenario>][] = [
    ["4 s, 2 cores, 1 aggregator", { slotMs: 4000 }],
    ["6 s, 2 cores, 1 aggregator", { slotMs: 6000 }],
    ["12 s, 2 cores, 1 aggregator", { slotMs: 12_000 }],
    ["12 s, 16 cores, 4 aggregators", { slotMs: 12_000, cores: 16, aggregators: 4 }],
    ["6 s, 2 lanes of 2 cores, 1 aggregator", { slotMs: 6000, lanes: 2 }],
    [
      "10 s, 2 cores, 2 aggregators of 16 votes, whose messages are all that a body may have",
      { slotMs: 10_000, aggregators: 2, votes: 16, known: 0 },
    ],
  ];
  const rows: string[][] = [];
  for (const [name, network] of networks) {
    const row = [name, votesOf(await measured({ ...network, known: null }))];
    for (const by of ["worker", "without the rule", "service"] satisfies By[]) {
      const found = await measured({ known: 2, ...network, by });
      row.push(votesOf(found), found.messages.toFixed(1));
    }
    rows.push(row);
  }
  return rows;
}

const votesOf = ({ votesBy }: BlockMeasures) => votesBy.map(percent).join(", ");

async function eightRows(): Promise<string[][]> {
  const fleet: Partial<BlockScenario> = { lanes: 8, cores: 16, aggregators: 4, hasFresh: false };
  const rows: string[][] = [];
  for (const known of [1, 2, 4, 6, 8, 9, 12, 16]) {
    for (const kills of known === 8 ? [0, 0.02] : [0]) {
      const part = { ...fleet, known, kills };
      const found = await measured(part);
      const { blockProofMs } = await measured({ ...part, hasBlockProofs: true });
      const [median = Infinity, late = Infinity] = blockProofMs ?? [];
      rows.push([
        `${known}${kills > 0 ? `, a prover in ${1 / kills} killed in each slot` : ""}`,
        `${percent(found.full)} %`,
        `${percent(found.empty)} %`,
        found.messages.toFixed(1),
        votesOf(found),
        `${seconds(median)}, ${seconds(late)}`,
      ]);
    }
  }
  return rows;
}

function inlineRows(): string[][] {
  return [1, 2, 4, 6, 8].map((known) => {
    const took = Array.from({ length: SLOTS }, (_, slot) => {
      const message = (nth: number) => ({ name: `i${slot}/${nth}`, slot, validators: [nth] });
      const { work } = mergeGroup(
        Array.from({ length: known }, (__, nth) => message(nth)),
        undefined,
      );
      return proofMs({ seed: 1, cores: 16, name: `inline ${slot}`, shape: shapeOf(work) });
    }).sort((a, b) => a - b);
    const missed = took.filter((ms) => ms > VOTE_INTERVAL * usual.slotMs).length / SLOTS;
    return [`${known}`, `${seconds(took[SLOTS / 2] ?? 0)} s`, `${percent(missed)} %`];
  });
}

function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(headers), line(headers.map(() => "---")), ...rows.map(line)].join("\n");
}

const by = "votes by 3, by 4, by the fence, %";
const parts = [
  intro,
  oneLane,
  table(
    [
      `slot and lane; ${by}`,
      "no bodies",
      ...["worker", "without the rule", "the service"].flatMap((who) => [who, "messages a body"]),
    ],
    await oneLaneRows(),
  ),
  eight,
  table(
    ["messages", "full", "empty", "messages a body", by, "signed to proof, s: p50, p95"],
    await eightRows(),
  ),
  inline,
  table(["messages", "the tick, and the block's delay: p50", "proposals missed"], inlineRows()),
];
process.stdout.write(`${parts.join("\n\n")}\n`);
