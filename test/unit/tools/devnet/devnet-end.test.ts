/** The end of a run and its faults: nothing that goes wrong there loses the run, or is waited for forever. */
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answerOf, endingOf, recordEnd } from "../../../../tools/devnet/run/end-run.js";
import { scheduleFaults } from "../../../../tools/devnet/run/inject-fault.js";
import { RunFile, readRun, type RunRecord } from "../../../../tools/devnet/run/run-file.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const never = new Promise<never>(() => undefined);

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("a run is done also when its metrics are missing and a process ends badly", async () => {
  const records: RunRecord[] = [];
  const metrics = () => Promise.reject(new Error("fetch failed"));
  const endings = [
    { what: "node 0", tookMs: 12, failure: null },
    { what: "service", tookMs: 40, failure: "ended with code 134" },
  ];
  await recordEnd({ metrics, stop: () => Promise.resolve(endings) }, (each) => records.push(each));
  expect(records).toEqual([
    { kind: "failure", text: "the last metrics are missing: fetch failed" },
    { kind: "shutdown", what: "node 0", tookMs: 12 },
    { kind: "shutdown", what: "service", tookMs: 40 },
    { kind: "failure", text: "service ended with code 134" },
    { kind: "done" },
  ]);
});

test("votes by fate are those of the last metrics", async () => {
  const records: RunRecord[] = [];
  const metrics = () => Promise.resolve('lean_aggregator_votes_total{fate="proved"} 7\n');
  await recordEnd({ metrics, stop: () => Promise.resolve([]) }, (each) => records.push(each));
  expect(records).toEqual([{ kind: "fates", votes: { proved: 7 } }, { kind: "done" }]);
});

test("a process that ends by itself is not killed, and its exit code is said", async () => {
  const kill = vi.fn();
  expect(await endingOf("node 0", Promise.resolve(0), kill)).toMatchObject({ failure: null });
  const crashed = await endingOf("node 1", Promise.resolve(1), kill);
  expect(crashed).toMatchObject({ what: "node 1", failure: "ended with code 1" });
  await vi.runAllTimersAsync();
  expect(kill).not.toHaveBeenCalled();
});

test("a process that does not end is killed", async () => {
  const killed = new EventEmitter();
  const exited = once(killed, "killed").then(() => null);
  const ending = endingOf("service", exited, () => killed.emit("killed"));
  await vi.runAllTimersAsync();
  expect(await ending).toMatchObject({ failure: "did not end within 30 s" });
});

test("an answer that does not come is an error", async () => {
  expect(await answerOf("node 0", Promise.resolve("text"))).toBe("text");
  const asked = expect(answerOf("node 0", never)).rejects.toThrow("node 0 gave no answer in 10 s");
  await vi.runAllTimersAsync();
  await asked;
});

/** No process: which nodes are killed is kept, what is signalled fails. */
function brokenNetwork() {
  const killed: number[] = [];
  const node = () => {
    throw new Error("there is no node 3");
  };
  const killNode = (index: number) => killed.push(index);
  return { killed, nodes: [], service: null, node, killNode, killService: () => undefined };
}

test("a fault that cannot be counted, begun or ended is an error of the run", async () => {
  const network = { ...brokenNetwork(), killService: vi.fn() };
  const errors: string[] = [];
  const freeze = { kind: "freeze" as const, nodes: [3], slot: 1, untilSlot: 2 };
  const kill = { kind: "kill-service" as const, slot: 3 };
  scheduleFaults([freeze, kill], (slot) => Date.now() + slot * 4000, {
    ...{ network, mode: "sidecar", aggregator: 0, add: () => undefined },
    countService: () => Promise.reject(new Error("no metrics")),
    onError: ({ message }) => errors.push(message),
  });
  await vi.runAllTimersAsync();
  expect(errors).toEqual(["there is no node 3", "there is no node 3", "no metrics"]);
  expect(network.killService).not.toHaveBeenCalled();
});

test("a node in a proof is killed in time: nothing that it counts is waited for", async () => {
  const network = brokenNetwork();
  const texts: string[] = [];
  const prover = { kind: "kill-prover" as const, slot: 1 };
  const node = { kind: "kill-node" as const, nodes: [2], slot: 2 };
  const startMs = Date.now();
  scheduleFaults([prover, node], (slot) => startMs + slot * 4000, {
    ...{ network, mode: "inline", aggregator: 0 },
    add: (record) => texts.push(record.kind === "fault" ? record.text : record.kind),
    countService: () => never,
    onError: ({ message }) => texts.push(message),
  });
  await vi.advanceTimersByTimeAsync(1.4 * 4000);
  expect(network.killed).toEqual([0]);
  await vi.advanceTimersByTimeAsync(4000);
  expect(network.killed).toEqual([0, 2]);
  expect(texts).toEqual(["killed node 0, whose process the prover is part of", "killed nodes 2"]);
});

test("what comes after the end of a run's file is dropped", async () => {
  const path = join(temporaryFolder(), "run.jsonl");
  const file = new RunFile(path, { kind: "run" } as ConstructorParameters<typeof RunFile>[1]);
  file.add({ kind: "done" });
  const closed = file.close();
  file.add({ kind: "failure", text: "too late" });
  await closed;
  expect(readRun(path).records).toEqual([{ kind: "done" }]);
});
