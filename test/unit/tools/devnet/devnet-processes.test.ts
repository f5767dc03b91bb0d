/**
 * Processes of a devnet that fails or is interrupted: none outlives it, no second call gets into its folder, and
 * each run records into one of its own.
 */
import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { endWithParent } from "../../../../tools/devnet/node/end-with-parent.js";
import { ServiceProcess } from "../../../../tools/harness/processes/service-process.js";
import { lockFolder } from "../../../../tools/devnet/run/lock-folder.js";
import { Network } from "../../../../tools/devnet/run/network.js";
import { NodeProcess } from "../../../../tools/devnet/run/node-process.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";
import { nodeSettings } from "./devnet-setup.js";

const ends = vi.hoisted(() => new Set<() => void>());
vi.mock("../../../../tools/harness/processes/end-with-process.js", () => ({
  endWithProcess: (end: () => void) => {
    ends.add(end);
    return () => ends.delete(end);
  },
}));

afterEach(() => {
  ends.clear();
  vi.restoreAllMocks();
});

test("a folder that a living process has is refused, and is free after that", () => {
  const folder = temporaryFolder();
  const release = lockFolder(folder);
  expect(readFileSync(join(folder, "lock"), "utf8")).toBe(String(process.pid));
  expect(() => lockFolder(folder)).toThrow(`OUT=${folder} is in use by process ${process.pid}`);
  release();
  expect(existsSync(join(folder, "lock"))).toBe(false);
  lockFolder(folder)();
});

test("a lock that a dead process left, or that was cut off, is replaced", () => {
  const folder = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  for (const left of [String(pid), ""]) {
    writeFileSync(join(folder, "lock"), left);
    const release = lockFolder(folder);
    expect(readFileSync(join(folder, "lock"), "utf8")).toBe(String(process.pid));
    release();
  }
});

test("a node is killed when the orchestrator exits, and not once it has ended", async () => {
  const main = join(temporaryFolder(), "node.mjs");
  writeFileSync(
    main,
    'process.on("message", () => {}); process.send({ type: "ready", metricsPort: 1 });',
  );
  const node = new NodeProcess(nodeSettings, () => undefined, main);
  await node.ready;
  expect(ends.size).toBe(1);
  for (const end of ends) end();
  expect(await node.exited).toBeNull();
  expect(ends.size).toBe(0);
});

test("a node ends when its parent has gone, and leaves it in good order otherwise", () => {
  const exits: number[] = [];
  const forked = () => {
    const own = new EventEmitter();
    const exit = (code: number) => exits.push(code);
    return Object.assign(own, { exit, disconnect: () => own.emit("disconnect") });
  };
  endWithParent(forked())();
  expect(exits).toEqual([]);
  const orphan = forked();
  endWithParent(orphan);
  orphan.disconnect();
  expect(exits).toEqual([1]);
});

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
