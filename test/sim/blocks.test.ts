/** Votes and bodies on shared provers: what the service's rule for merges made ahead is worth. */
import { expect, test } from "vitest";
import { BlockRun } from "../../tools/sim-report/blocks/block-run.js";
import type { BlockScenario } from "../../tools/sim-report/blocks/block-scenario.js";
import type { BlockMeasures } from "../../tools/sim-report/blocks/measure-blocks.js";
import { measureBlocks } from "../../tools/sim-report/blocks/measure-blocks.js";

async function measured(part: Partial<BlockScenario>): Promise<BlockMeasures> {
  const scenario: BlockScenario = {
    ...{ seed: 3, by: "service", lanes: 1, cores: 2, slotMs: 6000, slots: 24 },
    ...{ aggregators: 1, votes: 32, known: 2, hasFresh: true },
    ...{ hasBlockProofs: false, kills: 0 },
    ...part,
  };
  return measureBlocks(scenario, await new BlockRun(scenario).result());
}

test.each([6000, 12_000])(
  "on one lane no vote waits for a body, at slots of %d ms",
  async (slotMs) => {
    const without = await measured({ slotMs, known: null });
    const beside = await measured({ slotMs });
    expect(without.votesBy[0]).toBe(1);
    expect(beside.votesBy).toEqual(without.votesBy);
    expect(beside.messages).toBeGreaterThanOrEqual(1);
  },
);

test("messages that are proved one after the other are merged together", async () => {
  const slot = { slotMs: 10_000, aggregators: 2, votes: 16, known: 0 };
  const { messages, votesBy } = await measured(slot);
  expect(messages).toBeGreaterThan(0.9 * 2 * votesBy[1]);
  const alone = await measured({ ...slot, known: null });
  expect(votesBy).toEqual(alone.votesBy);
});

test("without the rule they do", async () => {
  const rash = await measured({ slotMs: 6000, by: "without the rule" });
  expect(rash.votesBy[0]).toBeLessThan(0.95);
});

test("where there is time for votes alone, a body still has its turn now and then", async () => {
  const { votesBy, messages } = await measured({ slotMs: 4000 });
  expect(votesBy[1]).toBe(1);
  expect(messages).toBeGreaterThan(0.05);
  expect(messages).toBeLessThan(0.3);
});

test("with an idle lane left, bodies are made as without the rule", async () => {
  const fleet: Partial<BlockScenario> = { lanes: 4, cores: 16, slotMs: 4000, aggregators: 2 };
  const ours = await measured(fleet);
  expect(ours).toEqual(await measured({ ...fleet, by: "without the rule" }));
  expect(ours).toMatchObject({ votesBy: [1, 1, 1], full: 1 });
});

test("a body of six messages is full at slots of 4 s, and the block's proof is there within its slot", async () => {
  const six = {
    lanes: 8,
    cores: 16,
    slotMs: 4000,
    known: 6,
    growth: [6],
    hasFresh: false,
  } as const;
  const { full, blockProofMs } = await measured({ ...six, hasBlockProofs: true });
  expect(full).toBeGreaterThanOrEqual(0.95);
  expect(blockProofMs?.[1]).toBeLessThan(4000);
});
