/** The network of a run: where its service records, and what is left of it when the run fails. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { ServiceProcess } from "../../../../tools/harness/processes/service-process.js";
import { Network } from "../../../../tools/devnet/run/network.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";
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

test("each run records into a folder of its own, which is emptied when it is made again", async () => {
  const { spawn } = mockServices();
  const recordings = temporaryFolder();
  const recording = join(recordings, "full-sidecar-5-1");
  mkdirSync(recording);
  writeFileSync(join(recording, "00000001.rec"), "of the run before");
  writeFileSync(join(recordings, "other"), "another run's");
  const network = new Network(events, recording);
  expect(readdirSync(recordings)).toEqual(["other"]);
  await expect(network.start([nodeSettings])).rejects.toThrow("no prover");
  await network.killAll();
  expect(spawn.mock.calls[0]?.[0]?.env).toMatchObject({ LEAN_AGGREGATOR_RECORD: recording });
});
