/** The fuzzer itself, as `make fuzz` runs it: mistakes planted for it are found, and replayed. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const out = temporaryFolder();

/** Compiled, for coverage is of compiled code. */
const MAIN = join(process.cwd(), "dist/tools/fuzz/fuzz.js");

function fuzz(env: Record<string, string>) {
  const options = {
    encoding: "utf8",
    env: { ...process.env, OUT: out, SEED: "7", ...env },
  } as const;
  return spawnSync(process.execPath, [MAIN, "planted"], options);
}

test.each([
  ["by-steps", "12", "planted behind four bytes"],
  ["endless", "3", "hangs: no end after 2 s"],
  ["unhandled", "2", "unhandled rejection: Error: planted rejection"],
])("what is planted in %s is found, written down, and exits 1", (TARGET, TIME, error) => {
  const ran = fuzz({ TARGET, TIME, HANG: "2" });
  expect(ran.stdout, ran.stderr).toContain("executions");
  expect([ran.status, ran.stdout]).toEqual([1, expect.stringContaining(error)]);
  const [file = ""] = readdirSync(out).filter((name) => name.startsWith(`${TARGET}-`));
  const [command = ""] = readFileSync(join(out, file.replace(".bin", ".txt")), "utf8").split("\n");
  expect(command).toBe(`make fuzz TARGET=${TARGET} INPUT=${join(out, file)}`);
  if (TARGET === "endless") return; // run again, it would not end again
  const replayed = fuzz({ TARGET, INPUT: join(out, file) });
  expect([replayed.status, replayed.stdout]).toEqual([1, expect.stringContaining(error)]);
});

test("a wrong argument is named, and exits 2", () => {
  const unknown = fuzz({ TARGET: "nothing" });
  expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining("by-steps")]);
  expect(fuzz({ TIME: "soon" }).status).toBe(2);
});
