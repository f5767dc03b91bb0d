// The system calls of the addon, each seen from another process.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../native/addon.js";

const ADDON = fileURLToPath(new URL("../../build/Release/lean_aggregator.node", import.meta.url));
const REQUIRE = `const addon = require(${JSON.stringify(ADDON)});`;
const onLinux = process.platform === "linux";
const addon = loadAddon();

describe("lockFile", () => {
  const folder = mkdtempSync(join(tmpdir(), "lean-lock-"));

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("gives -1 while another descriptor holds the lock, and a descriptor after", () => {
    const path = join(folder, "one");
    const held = addon.lockFile(path);
    expect(held).toBeGreaterThanOrEqual(0);
    expect(addon.lockFile(path)).toBe(-1);
    closeSync(held);
    const again = addon.lockFile(path);
    expect(again).toBeGreaterThanOrEqual(0);
    closeSync(again);
  });

  it("stays held by a child that inherited it, until that child ends", async () => {
    const path = join(folder, "two");
    const held = addon.lockFile(path);
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], {
      stdio: ["pipe", "ignore", "inherit", held],
    });
    await once(child, "spawn");
    closeSync(held);
    expect(addon.lockFile(path)).toBe(-1);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    const again = addon.lockFile(path);
    expect(again).toBeGreaterThanOrEqual(0);
    closeSync(again);
  });

  it("throws with the path when the file cannot be opened", () => {
    expect(() => addon.lockFile(join(folder, "missing", "file"))).toThrow("missing/file");
  });
});

describe.runIf(onLinux)("setAffinity", () => {
  it("pins every thread of the process, and changes nothing for an empty list", () => {
    const script = `${REQUIRE}
      const { readFileSync, readdirSync } = require("node:fs");
      const allowed = (task) => /Cpus_allowed_list:\\s*(\\S+)/.exec(
        readFileSync("/proc/self/task/" + task + "/status", "utf8"))[1];
      const all = () => [...new Set(readdirSync("/proc/self/task").map(allowed))];
      const before = all();
      addon.setAffinity([]);
      const unchanged = all();
      const core = Number.parseInt(before[0], 10);
      addon.setAffinity([core]);
      console.log(JSON.stringify({ before, unchanged, core, after: all() }));`;
    const run = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
    const seen = JSON.parse(run.stdout) as Record<string, unknown>;
    expect(seen.unchanged).toEqual(seen.before);
    expect(seen.after).toEqual([String(seen.core)]);
  });
});

describe.runIf(onLinux)("dieWithParent", () => {
  it("ends the process when its parent is killed", async () => {
    const grandchild = `${REQUIRE} addon.dieWithParent(); console.log("ready");
      process.stdin.resume(); setInterval(() => {}, 1000);`;
    const parent = `require("node:child_process").spawn(process.execPath,
      ["-e", ${JSON.stringify(grandchild)}], { stdio: ["pipe", "inherit", "inherit"] });`;
    const child = spawn(process.execPath, ["-e", parent], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    // The grandchild holds the pipe's other end: it closes only when the grandchild is gone too.
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  });
});
