/**
 * `make demo`: the real service in a process of its own, driven by a tick loop in real slot time on
 * the committed vectors; then every proof is verified by another prover process.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { TickAggregator } from "../../client/index.js";
import type { SnapshotInit, TickResult } from "../../client/index.js";
import { isProved, outcomeHeader, outcomeLine } from "../../cli/io/outcome-line.js";
import { bitsToIndices } from "../../proto/bitlist.js";
import type { Outcome, Votes } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { votesIn, votesProved } from "../../proto/votes.js";
import { readBackendFile } from "../../server/prover/backend-file.js";
import { proverEnvironment, startForkedProver } from "../../server/prover/forked-prover.js";
import { foldedProof } from "../../server/prover/prover.js";
import {
  child,
  dataOf,
  groupsOfSlot,
  keyTable,
  publicKey,
  raws,
  snapshot,
  tampered,
} from "../harness/vectors.js";
import type { GroupInit } from "../harness/vectors.js";

const SLOT_MS = 4000;
const INTERVAL_MS = 800;
const FIRST_SLOT = 100;
const LAST_SLOT = 104;
const AGGREGATION_INTERVAL = 2;

const say = (line = "") => process.stdout.write(`${line}\n`);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

interface Scene {
  story: string;
  groups: GroupInit[];
  deadlineMs: number;
  /** What votes are worth by when; default: the adapter's own steps. */
  steps?: readonly [];
}

function group(index: number, from: number, to: number): GroupInit {
  return { data: dataOf(index), rawSignatures: raws(index, from, to) };
}

/** What the node has seen by the aggregating interval of each slot. */
function scene(slot: number): Scene | undefined {
  const [a = 0, b = 0, c = 0] = groupsOfSlot(slot);
  switch (slot) {
    case 100: {
      const votes = raws(a, 0, 16);
      const spoilt = votes.map((vote, at) =>
        at === 3 ? { ...vote, signature: tampered(vote.signature) } : vote,
      );
      const story =
        "16 votes, one with a bad signature: its signer is left out, the rest is proved";
      return { story, groups: [{ data: dataOf(a), rawSignatures: spoilt }], deadlineMs: 3000 };
    }
    case 101:
      return {
        story:
          "three attestation data, 750 ms to start: what ends after that is late and kept, the rest not started",
        groups: [group(a, 0, 8), group(b, 32, 40), group(c, 48, 56)],
        deadlineMs: 750,
      };
    case 102:
      return {
        story:
          "a child proof of 8 validators folded with 4 votes, one of them covered by it already; " +
          "worth the same until the fence, or the child would be left for a later proof",
        groups: [{ ...group(a, 7, 11), children: [child(2)] }],
        deadlineMs: 750,
        steps: [],
      };
    case 103:
      return {
        story: "two groups, 3 s to start: both on time",
        groups: [group(a, 0, 4), group(b, 32, 36)],
        deadlineMs: 3000,
      };
    default:
      return undefined;
  }
}

async function startServer() {
  const listeners = ["--listen", "127.0.0.1:0", "--probes", "127.0.0.1:0", "--admin", "off"];
  // Learns costs of its own, on a machine that also runs nodes; the device's lock is the service's.
  const state = mkdtempSync(join(tmpdir(), "lean-demo-"));
  process.once("exit", () => rmSync(state, { recursive: true, force: true }));
  const args = ["dist/cli/main.js", "serve", ...listeners, "--state-dir", state];
  const server = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const addresses = await new Promise<{ nodes: string; probes: string }>((resolve, reject) => {
    server.once("exit", (code) =>
      reject(new Error(`the service ended with code ${code}; try 'make doctor'`)),
    );
    createInterface({ input: server.stderr }).on("line", (line) => {
      const entry = JSON.parse(line.startsWith("{") ? line : "{}") as {
        nodes?: string[];
        probes?: string;
        msg?: string;
        cause?: string;
      };
      const { nodes: [nodes] = [], probes } = entry;
      if (nodes !== undefined && probes !== undefined) resolve({ nodes, probes });
      if (entry.msg === "prover did not start") reject(new Error(entry.cause));
      if (!line.startsWith("{")) say(`  service: ${line}`);
    });
  });
  const ended = new Promise<number | null>((resolve) => server.once("exit", resolve));
  for (;;) {
    const ready = await fetch(`http://${addresses.probes}/readyz`);
    if (ready.status === 200) break;
    await pause(100);
  }
  const stop = () => {
    server.kill("SIGTERM");
    return ended;
  };
  return { address: addresses.nodes, stop };
}

/** Runs the ticks of all slots; returns the outcomes and how long each tick took. */
async function runNode(address: string): Promise<{ outcomes: Outcome[]; tickMs: number[] }> {
  const genesisUnixMs = Date.now() + 500 - FIRST_SLOT * SLOT_MS;
  const node = new TickAggregator({
    endpoints: address,
    nodeId: "demo",
    timeToFence: { slotMs: SLOT_MS, genesisUnixMs },
    onError: (error) => say(`  adapter: ${error.message}`),
  });
  const outcomes: Outcome[] = [];
  const tickMs: number[] = [];
  const apply = (result: TickResult) => {
    if (result.kind !== "outcome") return say(`           ${result.kind}`);
    say(`           ${outcomeLine(result.outcome)}`);
    outcomes.push(result.outcome);
  };
  for (let slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
    for (let interval = 0; interval < SLOT_MS / INTERVAL_MS; interval++) {
      await pause(genesisUnixMs + slot * SLOT_MS + interval * INTERVAL_MS - Date.now());
      const startedMs = performance.now();
      const results = node.takeResults(slot);
      const told = submitAt(node, slot, interval);
      tickMs.push(performance.now() - startedMs);
      if (interval === 0) say(`\nslot ${slot}`);
      if (told !== undefined)
        say(`  interval ${interval}: ${told}; the tick took ${(tickMs.at(-1) ?? 0).toFixed(1)} ms`);
      if (results.length > 0) say(`           ${outcomeHeader()}`);
      results.forEach(apply);
    }
  }
  await node.close();
  node.takeResults(LAST_SLOT).forEach(apply);
  return { outcomes, tickMs };
}

/** The aggregating interval submits; so does, on purpose, the one after it in slot 102. */
function submitAt(node: TickAggregator, slot: number, interval: number): string | undefined {
  const planned = scene(slot);
  const isAgain = slot === 102 && interval === AGGREGATION_INTERVAL + 1;
  if (planned === undefined || (interval !== AGGREGATION_INTERVAL && !isAgain)) return undefined;
  const { story, groups, deadlineMs, steps } = planned;
  const make = (): SnapshotInit => {
    const { head, justified, keys } = snapshot(slot, groups, keyTable()) as SnapshotInit;
    return { head, justified, keys, groups } as SnapshotInit;
  };
  const answer = node.submitOrSkip(slot, { isAggregator: true, hasState: true }, make, {
    deadlineMs,
    ...(steps !== undefined && { steps }),
  });
  if ("skipped" in answer) return `skipped, ${answer.skipped}: the session before is still proving`;
  return `submitted. ${story}`;
}

/** By a prover process of our own, with the keys that the participants name. */
async function verifyAll(outcomes: readonly Outcome[]): Promise<number> {
  const prover = await startForkedProver({
    deviceId: "verifier",
    childPath: "dist/server/prover/child-main.js",
    backend: readBackendFile(process.cwd()),
    nice: 0,
    cores: [],
    env: proverEnvironment(process.env, {}),
    startTimeoutMs: 60_000,
  });
  let good = 0;
  for (const { message, slot, data, participants, proof } of outcomes) {
    const keys = bitsToIndices(participants).map(publicKey);
    const claim = { proof, keys: new Uint8Array(Buffer.concat(keys)) };
    const signed = { root: message, slot: Number(data?.slot ?? slot) };
    if (await prover.verify(foldedProof(signed, claim))) good++;
  }
  prover.kill();
  await prover.exited;
  return good;
}

async function main(): Promise<number> {
  say("A lean consensus node's votes become proofs, beside its ticks instead of inside them.");
  say("The service runs in its own process with the real leanVM prover; this process is the node:");
  say(
    `slots of ${SLOT_MS / 1000} s, a tick every ${INTERVAL_MS} ms, votes handed over in interval ${AGGREGATION_INTERVAL}.`,
  );
  say("\nsetting the prover up (4 to 13 s) ...");
  const server = await startServer();
  const { outcomes, tickMs } = await runNode(server.address);
  const proved = outcomes.filter(isProved);
  const code = await server.stop();
  const sorted = [...tickMs].sort((x, y) => x - y);
  const proveMs = proved.reduce((sum, outcome) => sum + outcome.proveMs, 0);
  say(`\nservice ended with code ${code}`);
  say(
    `${tickMs.length} ticks: median ${(sorted[sorted.length >> 1] ?? 0).toFixed(2)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(1)} ms; proving took ${(proveMs / 1000).toFixed(1)} s beside them`,
  );
  const votes = outcomes.flatMap((outcome) => outcome.votes ?? []);
  const total = (count: (of: Votes) => number) => votes.reduce((sum, of) => sum + count(of), 0);
  say(`${total(votesProved)} of ${total(votesIn)} votes are in a proof`);
  say("verifying every proof in another prover process ...");
  const good = await verifyAll(proved);
  say(`verified ${good} of ${proved.length} proofs`);
  return good === proved.length && proved.length > 0 && code === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    say(`demo failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
