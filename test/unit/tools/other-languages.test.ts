/** `make clients`: says plainly what it skips, and fails when a suite that ran has failed. */
import { spawnSync } from "node:child_process";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const SCRIPT = "tools/suites/other-languages.sh";

/** Runs the script with these programs on the PATH, each a line of shell, and no toolchain. */
function runWith(programs: Readonly<Record<string, string>>) {
  const folder = temporaryFolder();
  symlinkSync("/usr/bin/dirname", join(folder, "dirname"));
  for (const [name, line] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const ran = spawnSync("/bin/bash", [SCRIPT], { env: { PATH: folder }, encoding: "utf8" });
  return { code: ran.status, lines: ran.stdout.trimEnd().split("\n"), errors: ran.stderr };
}

test("without a toolchain each language is skipped in one line", () => {
  expect(runWith({})).toEqual({
    code: 0,
    lines: [
      "== Go: skipped, there is no go on the PATH",
      "== Rust: skipped, there is no cargo on the PATH",
    ],
    errors: "",
  });
});

test("with both toolchains the suites run, in their folders", () => {
  const { code, lines } = runWith({ go: "pwd", cargo: "pwd" });
  const folders = lines.filter((line) => !line.startsWith("=="));
  const [go, rust] = ["clients/go", "clients/rust"].map((path) => join(process.cwd(), path));
  expect(folders).toEqual([go, go, go, ...Array.from({ length: 6 }, () => rust)]);
  expect(lines).toContain("== clients/go: go test -race ./...");
  expect(code).toBe(0);
});

test("a suite that fails is named, the others run, and the whole fails", () => {
  const { code, lines } = runWith({ go: '[ "$1" = vet ]', cargo: '[ "$1" != clippy ]' });
  expect(lines.filter((line) => /FAILED|skipped/.test(line))).toEqual([
    "== clients/go: FAILED: go test -race ./...",
    expect.stringContaining("== clients/go: FAILED: go test -race -count=4"),
    expect.stringContaining("skipped the comparison of the C header"),
    "== Rust: skipped cargo clippy, which is not installed: rustup component add clippy",
  ]);
  expect(lines).toContain("== clients/rust: cargo fmt --all --check");
  expect(lines.at(-1)).toMatch(/cargo deny check .* advisories$/);
  expect(code).toBe(1);
});
