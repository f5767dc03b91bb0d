/** A library whose limits the service cannot honour is refused when a prover starts. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { proverEnvironment, startForkedProver } from "../../server/prover/forked-prover.js";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";

const START_MS_MAX = 60_000;
const FOLD = ".kinds = LP_FOLD";

describe("a prover whose library has", () => {
  async function start(limits: string) {
    const backend = new FaultyBackend(limits);
    try {
      const prover = await startForkedProver({
        deviceId: "cpu0",
        childPath: join(process.cwd(), "dist/server/prover/child-main.js"),
        backend: backend.options,
        nice: 0,
        cores: [],
        env: proverEnvironment(process.env, {}),
        startTimeoutMs: START_MS_MAX,
      });
      prover.kill();
      return (await prover.exited).cause;
    } finally {
      backend.dispose();
    }
  }

  it.each([
    ["no fold", ".kinds = LP_MERGE", /has kinds 2; .* needs the kind FOLD/],
    [
      "arities without two",
      `${FOLD}, .fold.arities = 16`,
      /has fold\.arities 0x10 without 2 children; .* needs bit 2/,
    ],
    [
      "rates without its default",
      `${FOLD}, .rates = 12`,
      /has rates 0xc without its default; .* needs bit 0/,
    ],
  ])("%s does not start, and says so in one sentence", async (_what, limits, sentence) => {
    const refusal = expect(start(limits)).rejects;
    await refusal.toMatchObject({
      kind: "start_failed",
      message: expect.stringMatching(
        new RegExp(`^prover of cpu0 did not start: .*library .*${sentence.source}`),
      ) as string,
    });
  });

  it.each([
    ["no limits", FOLD],
    ["low limits", `${FOLD}, .fold.raws_max = 400, .fold.arities = 20, .rates = 5`],
  ])("%s starts", async (_what, limits) => {
    expect(await start(limits)).toBe("killed_by_us");
  });
});
