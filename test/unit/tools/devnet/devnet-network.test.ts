/** The network of a run: what is left of it when the run fails. */
import { afterEach, expect, test, vi } from "vitest";
import { ServiceProcess } from "../../../../tools/harness/processes/service-process.js";
import { Network } from "../../../../tools/devnet/run/network.js";
import type { NodeSettings } from "../../../../tools/devnet/node/messages.js";

afterEach(() => vi.restoreAllMocks());

const events = {
  onRecord: () => undefined,
  onRestart: () => undefined,
  onFailure: () => undefined,
  onServiceLine: () => undefined,
};
const settings: NodeSettings = {
  ...{ node: 0, ports: [1], keys: [], proposalKeys: [], ownValidators: [0] },
  ...{ sockets: { signer: "", verifier: "" }, mode: "sidecar", isAggregator: true },
  ...{ endpoint: "unix:/none", backend: { library: "", config: "" }, slotMs: 4000, intervals: 5 },
  ...{ foldsChildren: false, hasTwoViews: false, componentsMax: 0, blockProofEvery: 0 },
  ...{ lookaheadSlots: 0, earlyWaitMs: 1, lastSlot: 1 },
};

/** Services whose provers never get ready; the other members are not called. */
function mockServices() {
  const killed: string[] = [];
  const spawn = vi.spyOn(ServiceProcess, "spawn").mockImplementation(({ flags = [] } = {}) => {
    const exit = { code: null, signal: "SIGKILL" as const };
    const service: Pick<ServiceProcess, "exited" | "ready" | "kill"> = {
      exited: new Promise(() => undefined),
      ready: () => Promise.reject(new Error("no prover")),
      kill: () => {
        killed.push(flags[1] ?? "");
        return Promise.resolve(exit);
      },
    };
    return service as ServiceProcess;
  });
  return { killed, spawn };
}

test("a service that never got ready is killed with the run", async () => {
  const { killed } = mockServices();
  const network = new Network(events);
  await expect(network.start([settings])).rejects.toThrow("no prover");
  await network.killAll();
  expect(killed).toEqual(["unix:/none"]);
});
