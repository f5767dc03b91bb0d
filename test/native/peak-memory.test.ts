/**
 * A prover process reports what each of its proofs took at most, under the restrictions that it has
 * behind the service, and as a user of its own. Needs the compiled `dist/`.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { proverEnvironment, startForkedProver } from "../../server/prover/forked-prover.js";
import type { ProverUser } from "../../server/prover/forked-prover.js";
import { foldOfAll } from "../../server/prover/prover.js";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";
import { publicKey, raw } from "../../tools/harness/vectors.js";

const [LARGE_SLOT, SMALL_SLOT] = [7, 8];
/** What the backend takes for a large proof; a prover process has about 60 MB without. */
const LARGE_BYTES = 300e6;
const NOBODY = { uid: 65_534, gid: 65_534 };

const backend = new FaultyBackend();
chmodSync(backend.options.config, 0o755);
backend.orderForSlot("prove", LARGE_SLOT, "swell");
afterAll(() => backend.dispose());

/** What each of the proofs took at most, as the prover says. */
async function peaks(slots: number[], user?: ProverUser): Promise<number[]> {
  const prover = await startForkedProver({
    deviceId: "cpu0",
    childPath: join(process.cwd(), "dist/server/prover/child-main.js"),
    backend: backend.options,
    ...{ nice: 0, cores: [], env: proverEnvironment(process.env, {}), startTimeoutMs: 60_000 },
    ...(user && { user }),
  });
  const found: number[] = [];
  for (const slot of slots) {
    const message = { root: new Uint8Array(32), slot };
    const signed = { keys: publicKey(0), signatures: raw(0, 0).signature };
    const inputs = { message, ...signed, children: [], logInvRate: 0 };
    await prover.prove(foldOfAll(prover.description, inputs));
    found.push(prover.peakBytes());
  }
  prover.kill();
  await prover.exited;
  return found;
}

describe.runIf(process.platform === "linux")("the peak after a small proof", () => {
  const users = process.getuid?.() === 0 ? [undefined, NOBODY] : [undefined];

  it.each(users)("is its own, not that of the large one before, as user %o", async (user) => {
    const [first = 0, large = 0, last = 0] = await peaks(
      [SMALL_SLOT, LARGE_SLOT, SMALL_SLOT],
      user,
    );
    expect(large).toBeGreaterThan(LARGE_BYTES);
    for (const small of [first, last]) {
      expect(small).toBeGreaterThan(0);
      expect(small).toBeLessThan(LARGE_BYTES / 2);
    }
  });
});
