import { configDefaults, defineConfig } from "vitest/config";
import { SuiteShares } from "./tools/suites/suite-shares.js";

/** Left out of `make test`, which is to be quick: `make test-all` runs them too. */
const LONG = [
  "test/abuse/**",
  "test/chaos/fleet/fleet*.test.ts",
  "test/chaos/hostile-peers.test.ts",
  "test/chaos/merges.test.ts",
  "test/chaos/provers.test.ts",
  "test/chaos/services.test.ts",
  "test/deploy/**",
  "test/e2e/crowd.test.ts",
  "test/fuzz/malformed-snapshots.test.ts",
  "test/interop/**",
  "test/site/**",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(process.env["LONG"] === "0" ? LONG : [])],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // A poll ends as soon as it holds: the limit is for a loaded machine, not for what is tested.
    expect: { poll: { timeout: 20_000 } },
    // Many tests start processes and watch real time. On a machine that others use too, one of some
    // thousand fails now and then: CI tries it once more, and the run's last lines name it.
    retry: process.env["CI"] === "true" ? 1 : 0,
    // Suites start services and provers, which want the machine to themselves.
    fileParallelism: false,
    reporters: ["default", new SuiteShares()],
  },
});
