/** A prover process that dies, hangs or lies, played by small scripts in place of `host.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { proverEnvironment, startProcessProver } from "../../server/prover/process-prover.js";
import type { Prover } from "../../server/prover/prover.js";

const START_MS_MAX = 60_000;
const message = { root: new Uint8Array(32), slot: 7 };
const scratch = mkdtempSync(join(tmpdir(), "prover-process-failures-"));

afterAll(() => rmSync(scratch, { recursive: true }));

describe("a prover process that goes wrong", () => {
  function hostOf(name: string, source: string): string {
    const path = join(scratch, `${name}.mjs`);
    writeFileSync(path, source);
    return path;
  }

  function startWith(name: string, source: string, startTimeoutMs = START_MS_MAX) {
    return startProcessProver({
      deviceId: "cpu0",
      hostPath: hostOf(name, source),
      backend: { library: "none", config: "" },
      nice: 0,
      cores: [],
      env: proverEnvironment(process.env, {}),
      startTimeoutMs,
    });
  }

  const READY = `process.send({ type: "ready", description: { backend: "b", scheme: "s",
    revision: "r", kinds: 1, publicKeyBytes: 32, signatureBytes: 64, proofBytesMax: 10,
    childrenMax: 0, rawsMax: 0, keyOrderMatters: false } });`;
  const verify = (prover: Prover) =>
    prover.verifySignatures(message, new Uint8Array(64), new Uint8Array(128));

  it("before it is ready is told by its last words", async () => {
    const source = `console.error("no such device"); process.exit(7);`;
    await expect(startWith("exits", source)).rejects.toMatchObject({
      kind: "start_failed",
      message: expect.stringMatching(/cpu0.*exit code 7: no such device/) as string,
    });
  });

  it("by never becoming ready is killed", async () => {
    const source = `process.on("message", () => undefined);`;
    await expect(startWith("hangs", source, 300)).rejects.toMatchObject({
      kind: "start_failed",
      message: expect.stringContaining("not ready after 300 ms") as string,
    });
  });

  it("with a garbled reply is killed, and its request rejected", async () => {
    const source = `process.on("message", (m) => {
      if (m.type === "start") { ${READY} return; }
      process.send({ type: "reply", id: m.id, ok: true, value: ["ok"] }); });`;
    const prover = await startWith("garbles", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringContaining("expected 2 verdicts") as string,
    });
  });

  it("by crashing rejects what was pending and what comes later", async () => {
    const source = `process.on("message", (m) => {
      if (m.type === "start") { ${READY} return; }
      console.error("out of luck"); process.abort(); });`;
    const prover = await startWith("crashes", source);
    const both = await Promise.allSettled([verify(prover), verify(prover)]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringContaining("out of luck") as string,
    });
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
  });
});
