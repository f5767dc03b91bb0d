/** The short form of `make crowd`: many nodes at one real prover. */
import { expect, test } from "vitest";
import { withService } from "../../tools/bench/with-service.js";
import { flood } from "../../tools/bench/crowd/flood.js";
import { identical, threeMembers } from "../../tools/bench/crowd/identical.js";

const scenarios = [
  [
    "identical work of three nodes is proved once, and each is notified by its own budgets and numbering",
    identical(threeMembers),
  ],
  ["a node that floods delays a quiet one by one proof at most", flood(2)],
] as const;

test.each(scenarios)("%s", (_, { run }) =>
  withService(
    async (service) => {
      const { expectations } = await run(service, () => undefined);
      expect(expectations.filter(({ holds }) => !holds)).toEqual([]);
    },
    ["--standby", "0"],
  ),
);
