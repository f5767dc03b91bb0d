/** The units are valid for systemd, keep what the service needs, and take away the rest. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exitCodes } from "../../cli/io/command.js";
import { hasProgram } from "../interop/interop-tools.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const FOLDER = "deploy/systemd";
const PROGRAM = "/usr/bin/lean-aggregator";
/** Ten times the most that `systemd-analyze security` may find exposed, of 100. */
const EXPOSURE_MAX = 16;
const units = ["lean-aggregator.service", "lean-aggregator-prove.service"];
const textOf = (unit: string) => readFileSync(join(FOLDER, unit), "utf8");

/** The values of a key in the unit, in order. */
function valuesOf(unit: string, key: string): string[] {
  return [...textOf(unit).matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, of = ""]) => of);
}

const isMissing = !hasProgram("systemd-analyze", "--version");

describe.skipIf(isMissing)(`systemd${isMissing ? " (skipped: no systemd-analyze)" : ""}`, () => {
  /** The unit with a program that is there: `verify` looks for it. */
  function unitHere(unit: string, text = textOf(unit)): string {
    const path = join(temporaryFolder(), unit);
    writeFileSync(path, text.replace(PROGRAM, process.execPath));
    return path;
  }
  const analyze = (...args: string[]) => spawnSync("systemd-analyze", args, { encoding: "utf8" });

  test.each(units)("%s is valid", (unit) => {
    const { status, stderr } = analyze("verify", "--man=no", unitHere(unit));
    expect([status, stderr]).toEqual([0, ""]);
    const misspelt = unitHere(unit, textOf(unit).replace("WatchdogSec=", "WatchdogSecs="));
    expect(analyze("verify", "--man=no", misspelt).stderr).toContain("WatchdogSecs");
  });

  test.each(units)("%s is exposed to little", (unit) => {
    const args = ["security", "--offline=yes", "--no-pager", `--threshold=${EXPOSURE_MAX}`];
    const { status, stdout } = analyze(...args, unitHere(unit));
    expect(status, stdout).toBe(0);
    const open = textOf(unit)
      .replace("ProtectSystem=strict", "")
      .replace(/^Private.*$/gm, "");
    expect(analyze(...args, unitHere(unit, open)).status).not.toBe(0);
  });

  test("the user of the units is made by the other file", () => {
    const root = temporaryFolder();
    const sysusers = spawnSync("systemd-sysusers", ["--version"]);
    if (sysusers.error !== undefined) return;
    mkdirSync(join(root, "etc"));
    execFileSync("systemd-sysusers", [
      `--root=${root}`,
      join(process.cwd(), FOLDER, "sysusers.conf"),
    ]);
    expect(readFileSync(join(root, "etc/passwd"), "utf8")).toMatch(/^lean-aggregator:/m);
    expect(readFileSync(join(root, "etc/group"), "utf8")).toMatch(/^lean-aggregator:/m);
  });
});

test.each(units)("%s fits what the service does", (unit) => {
  const one = (key: string) => valuesOf(unit, key).at(-1) ?? "";
  expect([one("Type"), one("NotifyAccess"), one("User")]).toEqual([
    ...["notify", "main", "lean-aggregator"],
  ]);
  expect(Number(one("WatchdogSec"))).toBeGreaterThanOrEqual(10);
  // A setting that is wrong is not tried again.
  expect(one("RestartPreventExitStatus")).toBe(String(exitCodes.usage));
  // The longest drain, and the time to close.
  expect(Number(one("TimeoutStopSec"))).toBeGreaterThanOrEqual(70);
  // Node.js compiles to machine code; a prover is killed for memory, and the service goes on.
  expect(valuesOf(unit, "MemoryDenyWriteExecute")).toEqual([]);
  expect([one("OOMPolicy"), one("KillMode")]).toEqual(["continue", "mixed"]);
  const [command = ""] = valuesOf(unit, "ExecStart");
  expect(command).toMatch(new RegExp(`^${PROGRAM} (serve|prove) --config /etc/lean-aggregator/`));
  for (const key of ["RuntimeDirectory", "StateDirectory"]) {
    expect(one(key)).toBe(unit.replace(".service", ""));
  }
});
