/** The network of a run: what is left of it when the run fails. */
import { afterEach, expect, test, vi } from "vitest";
import { ServiceProcess } from "../../../../tools/harness/processes/service-process.js";
import { Network } from "../../../../tools/devnet/run/network.js";
import { nodeSettings } from "./devnet-setup.js";

afterEach(() => vi.restoreAllMocks());

const events = {
  onRecord: () => undefined,
  onRestart: () => undefined,
  onFailure: () => undefined,
  onServiceLine: () => undefined,
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
  await expect(network.start([nodeSettings])).rejects.toThrow("no prover");
  await network.killAll();
  expect(killed).toEqual(["unix:/none"]);
});
