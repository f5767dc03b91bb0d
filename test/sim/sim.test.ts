/**
 * Thousands of seeded schedules in virtual time: what design and documents promise of sessions and
 * lanes holds in each. Seeds that once failed stay in `seeds.json`; a change of the world makes other
 * schedules of them, so what one taught has a unit test too. `make sim SEED=n` replays one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { World } from "../../tools/sim/world.js";

const SCHEDULES = process.env["LONG"] === "0" ? 500 : 2000;
const BATCH = 250;

const kept = JSON.parse(readFileSync(join(process.cwd(), "test/sim/seeds.json"), "utf8")) as {
  seed: number;
  taught: string;
}[];

test.each(kept)("seed $seed: $taught", async ({ seed }) => {
  expect((await new World(seed).run()).violations).toEqual([]);
});

test.each(Array.from({ length: SCHEDULES / BATCH }, (_, at) => at * BATCH))(
  "no promise breaks in the schedules from seed %d",
  async (first) => {
    const broken = [];
    let proved = 0;
    for (let seed = first; seed < first + BATCH; seed++) {
      const { violations, endings } = await new World(seed).run();
      proved += endings["PROVED UNSPECIFIED"] ?? 0;
      if (violations.length > 0) broken.push({ seed, first: violations[0] });
    }
    expect(broken).toEqual([]);
    expect(proved).toBeGreaterThan(BATCH);
  },
);
