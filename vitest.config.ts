import { defineConfig } from "vitest/config";
import { SuiteShares } from "./tools/suites/suite-shares.js";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Suites start services and provers, which want the machine to themselves.
    fileParallelism: false,
    reporters: ["default", new SuiteShares()],
  },
});
