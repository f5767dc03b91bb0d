/**
 * The adapter in a node's tick loop against real service processes that are killed, frozen and cut
 * off. Whatever happens: no tick waits, and every submitted group ends exactly once. With two
 * services, the death or silence of one loses no group, and the other one works within 2 s.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  TickAggregator,
  type SubmitAnswer,
  type SubmitOptions,
  type TickResult,
} from "../../client/index.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature } from "../../server/prover/fake/fake.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { dataOf, groupsOfSlot, publicKey, rootOf, snapshot } from "../../tools/harness/vectors.js";

const SLOT = 101;
const TICK_MS = 20;
const TICK_CALL_MS_MAX = 50;
const FENCE_MS = 4000;
/** Longer than the silence after which a stream counts as broken. */
const STALL_MS = 2000;
/** Time until the other endpoint works; twice as much on a loaded machine. */
const TAKEOVER_MS_MAX = 2 * 2000;
const GATES = { isAggregator: true, hasState: true };
const GROUPS = groupsOfSlot(SLOT).map((group, index) => {
  const validatorIndex = index;
  const signature = fakeSignature(publicKey(validatorIndex), rootOf(group), SLOT);
  return { data: dataOf(group), rawSignatures: [{ validatorIndex, signature }] };
});

const eventually = (check: () => unknown) =>
  vi.waitFor(check, { timeout: 30_000, interval: TICK_MS });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Takes and submits on every tick, and keeps account. */
class TickingNode {
  readonly results: TickResult[] = [];
  readonly skips: string[] = [];
  /** What the adapter met with and dealt with. */
  readonly errors: Error[] = [];
  readonly #registry = new Registry();
  readonly #tickMs: number[] = [];
  readonly aggregator: TickAggregator;
  #submitted = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(...endpoints: string[]) {
    this.aggregator = new TickAggregator({
      endpoints,
      nodeId: "chaos",
      timeToFence: () => FENCE_MS,
      registry: this.#registry,
      onError: (error) => this.errors.push(error),
    });
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    cleanups.push(() => this.close(0));
  }

  tick(options: SubmitOptions = {}): SubmitAnswer {
    const startMs = performance.now();
    this.results.push(...this.aggregator.takeResults(SLOT));
    const init = () => snapshot(SLOT, GROUPS);
    const answer = this.aggregator.submitOrSkip(SLOT, GATES, init, options);
    this.#tickMs.push(performance.now() - startMs);
    if ("skipped" in answer) this.skips.push(answer.skipped);
    else this.#submitted++;
    return answer;
  }

  count(kind: TickResult["kind"]): number {
    return this.results.filter((result) => result.kind === kind).length;
  }

  get proofs(): number {
    const isProof = (result: TickResult) =>
      result.kind === "outcome" && result.outcome.status === OutcomeStatus.PROVED;
    return this.results.filter(isProof).length + this.count("duplicate");
  }

  /** Proofs that came from this endpoint. */
  proofsFrom(endpoint: string): number {
    const isFrom = (result: TickResult) =>
      result.endpoint === endpoint && (result.kind === "outcome" || result.kind === "duplicate");
    return this.results.filter(isFrom).length;
  }

  /** Resolves once this many more proofs have come. */
  async prove(more: number): Promise<void> {
    const goal = this.proofs + more;
    await eventually(() => expect(this.proofs).toBeGreaterThanOrEqual(goal));
  }

  async close(drainMs: number): Promise<void> {
    clearInterval(this.#timer);
    await this.aggregator.close({ drainMs });
    this.results.push(...this.aggregator.takeResults(SLOT));
  }

  /** After `close`: each group of each accepted snapshot has ended once, and no tick has waited. */
  async check(): Promise<void> {
    const ends = this.results.map((each) => `${each.requestId} ${String(each.groupIndex)}`);
    expect(new Set(ends).size, "no group ends twice").toBe(ends.length);
    await eventually(async () => {
      const skipped = (await this.#sum("lean_aggregator_skipped_total")) - this.skips.length;
      const fenced = await this.#sum("lean_aggregator_fenced_results_total");
      const accepted = this.#submitted - skipped;
      expect(ends.length + fenced, "every group ends").toBe(accepted * GROUPS.length);
    });
    // A tick may lose its core to others now and then; it must not wait by itself. The first one also
    // compiles the code.
    const slow = this.#tickMs.slice(1).filter((ms) => ms > TICK_CALL_MS_MAX);
    expect(slow.length).toBeLessThanOrEqual(Math.max(3, Math.ceil(this.#tickMs.length / 100)));
  }

  /** Skips of one reason, the service's own included. */
  async skipped(reason: string): Promise<number> {
    return this.#sum("lean_aggregator_skipped_total", reason);
  }

  async #sum(name: string, reason?: string): Promise<number> {
    const metric = await this.#registry.getSingleMetric(name)?.get();
    const values = (metric?.values ?? []).filter(
      ({ labels }) => reason === undefined || Reflect.get(labels, "reason") === reason,
    );
    return values.reduce((sum, { value }) => sum + value, 0);
  }
}

/** Forwards to the service; `cut` breaks every connection. */
async function startProxy(target: string) {
  const sockets = new Set<Socket>();
  const [host = "", port = ""] = target.split(":");
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => sockets.forEach((socket) => socket.destroy());
  cleanups.push(() => {
    cut();
    server.close();
  });
  return { address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`, cut };
}

let service: ServiceProcess;
let address: string;
/** With the fake prover, on a free port unless told the address of an earlier run. */
async function startService(listen = "127.0.0.1:0"): Promise<void> {
  service = ServiceProcess.spawn({ flags: ["--prover", "fake", "--listen", listen] });
  address = (await service.listening()).nodes;
}

beforeEach(async () => {
  await startService();
  cleanups.push(() => service.kill());
});

it("survives a service that is killed and comes back on the same port", async () => {
  const node = new TickingNode(address);
  await node.prove(6);
  await service.kill();
  await eventually(() => expect(node.skips).toContain("unreachable"));
  await startService(address);
  await node.prove(6);
  await node.close(2000);
  await node.check();
});

it("misses nothing when its connections are cut", async () => {
  const proxy = await startProxy(address);
  const node = new TickingNode(proxy.address);
  for (let cuts = 0; cuts < 5; cuts++) {
    await node.prove(2);
    const errors = node.errors.length;
    proxy.cut();
    await eventually(() => expect(node.errors.length).toBeGreaterThan(errors));
    // Passes the latch, so that it says whether the service counts as unreachable.
    node.tick({ mayReplace: true });
  }
  await node.prove(6);
  await node.close(2000);
  await node.check();
  expect(node.count("lost")).toBe(0);
  expect(node.skips).not.toContain("unreachable");
});

it("survives a service that is frozen for longer than its heartbeats may fail", async () => {
  const node = new TickingNode(address);
  await node.prove(6);
  service.signal("SIGSTOP");
  await eventually(() => expect(node.skips).toContain("unreachable"));
  service.signal("SIGCONT");
  await node.prove(6);
  await node.close(2000);
  await node.check();
});

it("is not cut off by a stall of the node's own loop", async () => {
  const node = new TickingNode(address);
  await node.prove(6);
  // The answer to this one comes during the stall, and is past its time when it can be read.
  node.tick({ mayReplace: true });
  await nextTurn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
  await node.prove(6);
  await node.close(2000);
  await node.check();
  expect(await node.skipped("unreachable")).toBe(0);
  expect(node.count("lost")).toBe(0);
});

it.each([
  ["dead", () => service.kill()],
  ["frozen", () => service.signal("SIGSTOP")],
])("closes in time when the service is %s", async (_state, harm) => {
  const node = new TickingNode(address);
  await node.prove(3);
  await harm();
  const startMs = performance.now();
  await node.close(100);
  // 100 ms of drain, 500 of cancelling, and room for a loaded machine.
  expect(performance.now() - startMs).toBeLessThan(5000);
  await node.check();
});

it.each([
  ["killed", () => service.kill()],
  ["frozen", () => service.signal("SIGSTOP")],
])("loses no group when one of two services is %s", async (_state, harm) => {
  const other = ServiceProcess.spawn({ flags: ["--prover", "fake"] });
  cleanups.push(() => other.kill());
  const { nodes: second } = await other.listening();
  const node = new TickingNode(address, second);
  // It begins with the second if that is ready first.
  await eventually(() => expect(node.proofsFrom(address)).toBeGreaterThanOrEqual(6));
  const before = node.proofsFrom(second);
  await node.prove(6);
  expect(node.proofsFrom(second)).toBe(before);
  // Not a replacement: what it replaces would not be sent again, as this one has its votes.
  await eventually(() => expect(node.tick()).toHaveProperty("submitted"));
  const harmedAtMs = performance.now();
  await harm();
  await eventually(() => expect(node.proofsFrom(second)).toBeGreaterThan(before));
  expect(performance.now() - harmedAtMs).toBeLessThan(TAKEOVER_MS_MAX);
  await node.prove(6);
  await node.close(2000);
  await node.check();
  expect(node.count("lost")).toBe(0);
  expect(node.skips).not.toContain("unreachable");
});
