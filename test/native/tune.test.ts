/** `tune` with prover processes of a test's library: what it measures, holds, and leaves behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { loadAddon } from "../../native/addon.js";
import { parseConfig } from "../../server/config/config.js";
import { deviceLockPath } from "../../server/prover/device/device.js";
import { lockDevice, unlockDevice } from "../../server/prover/device/device-lock.js";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";
import { childrenOf, isRunning } from "../../tools/harness/processes/processes.js";
import { commandLine, MAIN, runUntil } from "../helpers/command-line.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const backend = new FaultyBackend();
afterAll(() => backend.dispose());
const folder = temporaryFolder();
const calibration = join(process.cwd(), "native/backends/lean_pq/calibration.json");
const { library, config } = backend.options;
const device = { id: "cpu", cores: "0", backend: { library, config, calibration } };
const tune = [
  ...["tune", "--quick", "--raws", "1", "--runtime-dir", folder],
  ...["--devices", JSON.stringify([device])],
];
/** Of the calibration's message. */
const SLOT = 100;

test("it measures the library of a device, and writes it into each device", async () => {
  backend.orderForSlot("prove", SLOT, "slow");
  const ran = await commandLine(tune);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  expect(parseConfig({ devices: ran.stdout.trim() }).devices).toMatchObject([
    { id: "cpu", cores: [0], backend: { library, config, calibration } },
  ]);
  expect(ran.stderr).not.toContain("FAKE");
  // A prover is a process, so its memory is known.
  expect(ran.stderr).toMatch(/1 x 1 +1 raw( +[\d.]+){7}\n/);
});

test("more raw signatures than the calibration has are refused", async () => {
  const ran = await commandLine([...tune, "--raws", "1,65"]);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toContain("--raws 65 is more than the 64 votes of the calibration");
});

test.each(["cpu", "gpu0"])(
  "it does not start while device %s is held, and names who holds it",
  async (id) => {
    const addon = loadAddon();
    const path = deviceLockPath(folder, id);
    const fd = await lockDevice(
      { path, pid: process.pid, waitMs: 0 },
      {
        lockFile: (file) => addon.lockFile(file),
        nowMs: () => 0,
        sleep: () => Promise.resolve(),
        onWait: () => undefined,
      },
    );
    try {
      const ran = await commandLine(tune);
      expect(ran).toMatchObject({ code: 1, stdout: "" });
      expect(ran.stderr).toContain(`the process ${process.pid} proves on this host`);
      expect(ran.stderr).toContain(path);
    } finally {
      unlockDevice(fd);
    }
  },
);

test("killed in a proof, it leaves no prover, and the lock is free", async () => {
  backend.orderForSlot("prove", SLOT, "hang");
  const child = spawn(process.execPath, [MAIN, ...tune], { stdio: "ignore" });
  const { pid = 0 } = child;
  while (childrenOf(pid).length === 0) await pause(20);
  const provers = childrenOf(pid);
  child.kill("SIGKILL");
  await once(child, "exit");
  while (provers.some(isRunning)) await pause(20);
  // A prover that it was about to start ends a moment later.
  const lock = () => loadAddon().lockFile(deviceLockPath(folder, "cpu"));
  let held = lock();
  for (; held < 0; held = lock()) await pause(20);
  unlockDevice(held);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends it and its provers", async (signal) => {
  backend.orderForSlot("prove", SLOT, "hang");
  const when = /1 x 1: setting 1 up/;
  const ran = await runUntil(process.execPath, [MAIN, ...tune], { signal, when });
  expect(ran.stdout).toBe("");
  if (signal === "SIGINT") expect(ran).toMatchObject({ code: 1 });
  if (signal === "SIGINT") expect(ran.stderr).toContain("interrupted; what was measured is above");
});
