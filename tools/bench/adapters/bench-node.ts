/**
 * The node of the adapters' bench in TypeScript, a process of its own. Go's and Rust's are
 * `clients/go/cmd/leanagg-bench` and `clients/rust/examples/bench_node.rs`: all three take the same
 * arguments and print the same lines of JSON.
 *
 *   tick COUNT ENDPOINT       COUNT submissions of each size; prints what the calls took
 *   votes ENDPOINT ENDPOINT   one group every 250 ms until its input ends; prints how each ended
 */
import { setTimeout as pause } from "node:timers/promises";
import { TickAggregator } from "../../../client/index.js";
import type { SnapshotInit, SubmitOptions } from "../../../client/index.js";
import { quantile } from "../statistics.js";

const SIGNATURE_BYTES = 2536;
const KEY_BYTES = 52;
/** Signatures of about 20 KB and of 1 MB. */
const SIZES = [8, 400];
const VOTES = 4;
const SUBMIT_MS = 250;
const TICK_MS = 10;
const FENCE_MS = 6000;
const GATES = { isAggregator: true, hasState: true };

const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

function snapshot(slot: number, signatures: number): SnapshotInit {
  const point = { root: new Uint8Array(32).fill(1), slot: BigInt(slot) };
  const indices = Array.from({ length: signatures }, (_, index) => index);
  const keys = indices.map((validatorIndex) => {
    const publicKey = new Uint8Array(KEY_BYTES);
    new DataView(publicKey.buffer).setUint32(0, validatorIndex, true);
    return { validatorIndex, publicKey };
  });
  const data = { slot: BigInt(slot), head: point, target: point, source: point };
  const signature = new Uint8Array(SIGNATURE_BYTES).fill(7);
  const rawSignatures = indices.map((validatorIndex) => ({ validatorIndex, signature }));
  return { head: point, justified: point, keys, groups: [{ data, rawSignatures }] };
}

function connect(endpoints: readonly string[]): TickAggregator {
  return new TickAggregator({ endpoints, nodeId: "bench-node", timeToFence: () => FENCE_MS });
}

async function tick(count: number, endpoint: string): Promise<void> {
  const node = connect([endpoint]);
  const options: SubmitOptions = { mayReplace: true };
  await pause(500);
  for (const signatures of SIZES) {
    const template = snapshot(1, signatures);
    const times: number[] = [];
    let skipped = 0;
    while (times.length < count) {
      const start = performance.now();
      const answer = node.submitOrSkip(1, GATES, () => template, options);
      times.push(performance.now() - start);
      if ("skipped" in answer) skipped++;
      node.takeResults(1);
      await pause(SUBMIT_MS / 10);
    }
    const [p50Ms, p99Ms] = [quantile(times, 0.5), quantile(times, 0.99)];
    print({ bytes: signatures * SIGNATURE_BYTES, count, skipped, p50Ms, p99Ms });
  }
  await node.close({ drainMs: 0 });
}

async function votes(endpoints: readonly string[]): Promise<void> {
  const node = connect(endpoints);
  let isEnding = false;
  process.stdin.once("end", () => (isEnding = true)).resume();
  await pause(500);
  const take = (slot: number) => {
    for (const result of node.takeResults(slot)) {
      const isProved = result.kind === "outcome" && result.outcome.proof.length > 0;
      print({ kind: isProved ? "proved" : result.kind, endpoint: result.endpoint ?? "" });
    }
  };
  for (let slot = 1; !isEnding; slot++) {
    const options: SubmitOptions = { fenceMs: FENCE_MS };
    const answer = node.submitOrSkip(slot, GATES, () => snapshot(slot, VOTES), options);
    if ("skipped" in answer) print({ kind: "skipped", reason: answer.skipped });
    else print({ kind: "submitted" });
    for (let waitedMs = 0; waitedMs < SUBMIT_MS; waitedMs += TICK_MS) {
      await pause(TICK_MS);
      take(slot);
    }
  }
  await node.close({ drainMs: FENCE_MS });
  take(0);
}

const [command, ...values] = process.argv.slice(2);
if (command === "tick") await tick(Number(values[0]), values[1] ?? "");
else await votes(values);
