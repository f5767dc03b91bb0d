/**
 * `make devnet` and `make devnet-smoke`: the runs, one after the other, then the report. Real time,
 * real prover, real keys. Settings come from the environment: see `docs/devnet/README.md`.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCryptoProcess } from "../crypto/crypto-process.js";
import { writeReport } from "../report/write-report.js";
import { MODES, type Mode } from "../node/aggregators/aggregator.js";
import { fitTo, readScenario } from "./scenario.js";
import { buildGoAdapter } from "./build-go.js";
import { runMode } from "./run-mode.js";

const NODES = 4;
/** `go` needs a toolchain that not everyone has. */
const MODES_DEFAULT = "inline,worker,remote,sidecar";
const SEED = "lean-aggregator devnet validator";

const say = (text: string) => process.stdout.write(`${text}\n`);

/** `remote:12,inline:6` or `remote,inline`: modes, and how many slots if not `SLOTS`. */
function plannedRuns(env: NodeJS.ProcessEnv): { mode: Mode; slots: number }[] {
  const slots = Number(env["SLOTS"] ?? "200");
  return (env["MODES"] ?? MODES_DEFAULT).split(",").map((entry) => {
    const [name, own] = entry.split(":");
    const mode = MODES.find((each) => each === name);
    if (mode === undefined)
      throw new Error(`MODES has ${String(name)}, expected ${MODES.join(", ")}`);
    return { mode, slots: Number(own ?? slots) };
  });
}

/** Returns whether no rule is broken. */
async function main(): Promise<boolean> {
  const { env } = process;
  const runs = plannedRuns(env);
  if (runs.some(({ mode }) => mode === "go")) buildGoAdapter();
  const slotMs = Number(env["SLOT_MS"] ?? "6000");
  const validators = Number(env["VALIDATORS"] ?? "8");
  const lookaheadSlots = Number(env["LOOKAHEAD"] ?? "0");
  const folder = env["OUT"] ?? "out/devnet";
  const scenario = readScenario(env["SCENARIO"] ?? "tools/devnet/scenarios/full.json");
  const minutes = runs.reduce((sum, { slots }) => sum + (slots + 6) * slotMs, 60_000) / 60_000;
  say(`${runs.length} runs in real time, about ${minutes.toFixed(0)} minutes`);
  mkdirSync(folder, { recursive: true });
  const sockets = mkdtempSync(join(tmpdir(), "devnet-"));
  process.once("exit", () => rmSync(sockets, { recursive: true, force: true }));
  const [signer, verifier] = await Promise.all([
    startCryptoProcess("signer", join(sockets, "signer"), [SEED, String(validators)], say),
    startCryptoProcess("verifier", join(sockets, "verifier"), [], say),
  ]);
  try {
    for (const { mode, slots } of runs) {
      const planned = fitTo(scenario, slots);
      say(`\n${mode}: ${slots} slots, ${planned.faults.length} faults`);
      const options = { mode, slots, slotMs, lookaheadSlots, validators, nodes: NODES, folder };
      await runMode({ ...options, aggregator: 0, scenario: planned }, { signer, verifier, say });
    }
  } finally {
    await Promise.all([signer.close(), verifier.close()]);
  }
  const report = env["REPORT"] ?? folder;
  const modes = MODES.filter((mode) => runs.some((run) => run.mode === mode));
  const aims = writeReport(modes, { runs: folder, report }, env["COMMAND"] ?? "make devnet");
  say("");
  for (const { text, isMet, found } of aims)
    say(`${isMet ? "met    " : "NOT MET"} ${text}: ${found}`);
  say(`report: ${join(report, "report.md")}`);
  return aims.every(({ isMet, isRule }) => isMet || !isRule);
}

main().then(
  (isGood) => process.exit(isGood ? 0 : 1),
  (error: unknown) => {
    say(`devnet failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
