/** Upgrades of the prover in virtual time, under load: what is promised of them holds for every seed. */
import { expect, test } from "vitest";
import { UpgradeWorld } from "../../tools/sim/upgrade-world.js";

const SEEDS = 30;

test("no seed breaks a promise, and each fault ends as it should", async () => {
  const total: Record<string, number> = {};
  for (let seed = 0; seed < SEEDS; seed++) {
    const { fault, state, violations, endings, shadows } = await new UpgradeWorld(seed).run();
    expect({ seed, violations }).toEqual({ seed, violations: [] });
    expect({ seed, fault, state }).toEqual({
      ...{ seed, fault, state: fault === "none" ? "switched" : "returned" },
    });
    // The old revision never fails, and the next one only after the fault.
    expect(endings["old FAILED"] ?? 0).toBe(0);
    if (fault === "none") expect(endings["next FAILED"] ?? 0).toBe(0);
    expect(shadows["invalid"]).toBe(0);
    for (const [result, count] of Object.entries(shadows)) {
      total[result] = (total[result] ?? 0) + count;
    }
    for (const ending of Object.keys(endings)) total[ending] = (total[ending] ?? 0) + 1;
  }
  for (const seen of ["old PROVED", "next PROVED", "next FAILED", "verified", "stopped"]) {
    expect([seen, (total[seen] ?? 0) > 0]).toEqual([seen, true]);
  }
});
