// The system calls of the addon, each seen from another process.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, existsSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadAddon } from "../../native/addon.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const ADDON = fileURLToPath(new URL("../../build/Release/lean_aggregator.node", import.meta.url));
const REQUIRE = `const addon = require(${JSON.stringify(ADDON)});`;
const onLinux = process.platform === "linux";
const addon = loadAddon();

describe("lockFile", () => {
  const folder = temporaryFolder();

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

  it("follows no link, and locks nothing but a regular file", () => {
    const target = join(folder, "target");
    const link = join(folder, "link");
    symlinkSync(target, link);
    expect(() => addon.lockFile(link)).toThrow("link");
    expect(existsSync(target)).toBe(false);
    const pipe = join(folder, "pipe");
    execFileSync("/usr/bin/mkfifo", [pipe]);
    expect(() => addon.lockFile(pipe)).toThrow(`${pipe} is not a regular file`);
    expect(() => addon.lockFile(folder)).toThrow(folder);
  });

  it.runIf(process.getuid?.() === 0)(
    "excludes services of several users in a folder such as /tmp, no matter whose the file is",
    () => {
      const shared = temporaryFolder();
      chmodSync(shared, 0o1777);
      const path = join(shared, "file");
      const script = `${REQUIRE} console.log(addon.lockFile(${JSON.stringify(path)}))`;
      const as = (uid: number) =>
        spawnSync(process.execPath, ["-e", script], { uid, gid: uid, encoding: "utf8" });
      expect(Number(as(65_534).stdout)).toBeGreaterThanOrEqual(0);
      chmodSync(path, 0o644);
      const held = addon.lockFile(path);
      expect(held).toBeGreaterThanOrEqual(0);
      expect(as(65_533)).toMatchObject({ stdout: "-1\n" });
      closeSync(held);
      expect(Number(as(65_533).stdout)).toBeGreaterThanOrEqual(0);
    },
  );

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

describe("limitResource", () => {
  it("lowers a limit until the process ends, and leaves a tighter one", () => {
    const script = `${REQUIRE}
      const { report } = process;
      const files = () => report.getReport().userLimits.open_files;
      addon.limitResource("files", 200);
      addon.limitResource("files", 300);
      addon.limitResource("core", 0);
      const { core_file_size_blocks: core } = report.getReport().userLimits;
      console.log(JSON.stringify({ files: files(), core }));`;
    const run = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
    expect(JSON.parse(run.stdout)).toMatchObject({
      files: { soft: 200, hard: 200 },
      core: { soft: 0, hard: 0 },
    });
  });

  it("refuses to write a larger file, and spares pipes", () => {
    const path = join(temporaryFolder(), "file");
    const script = `${REQUIRE}
      const { writeFileSync } = require("node:fs");
      addon.limitResource("fileBytes", 10);
      console.log("x".repeat(100));
      writeFileSync(${JSON.stringify(path)}, "x".repeat(10));
      writeFileSync(${JSON.stringify(path)}, "x", { flag: "a" });`;
    const run = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
    expect(run.stdout).toBe(`${"x".repeat(100)}\n`);
    expect(run.stderr).toContain("EFBIG");
    expect(statSync(path).size).toBe(10);
  });

  it("throws for what it does not know", () => {
    expect(() => addon.limitResource("memory" as "core", 1)).toThrow("resource must be");
    expect(() => addon.limitResource("core", -1)).toThrow("most must be");
  });
});

describe.runIf(onLinux)("hideDescriptors", () => {
  it("keeps from children what this process itself inherited", () => {
    // 40 leaves a gap, behind which Node does not look for what it has inherited.
    const list = `readdirSync("/proc/self/fd").includes("40")`;
    const child = `const { readdirSync } = require("node:fs"); process.exit(${list} ? 1 : 0);`;
    const script = `const { spawnSync } = require("node:child_process");
      const { readdirSync } = require("node:fs");
      const leaks = () => spawnSync(process.execPath, ["-e", ${JSON.stringify(child)}]).status;
      const before = leaks(); ${REQUIRE} addon.hideDescriptors();
      console.log(JSON.stringify({ has: ${list}, before, after: leaks() }));`;
    const shell = ["-c", 'exec 40</dev/null; exec "$0" -e "$1"', process.execPath, script];
    const run = spawnSync("bash", shell, { encoding: "utf8" });
    expect(JSON.parse(run.stdout)).toEqual({ has: true, before: 1, after: 0 });
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
