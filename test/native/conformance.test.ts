// Runs the C conformance program over the backends with a real wheel, plain and under
// AddressSanitizer. A backend that is not set up is skipped: `make setup-multisig` sets the second up.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { sanitizerEnvironment } from "../../tools/fuzz/engine/abi.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
// Setup takes 4 s and the proofs 5 s on two idle cores, and of lean_multisig twice that; three times
// as long under the sanitizer.
const RUN_MS_MAX = 180_000;
/** Some hundreds of calls; `make fuzz TARGET=abi` goes on from there. */
const [FUZZ_SEED, FUZZ_SECONDS] = ["20261124", "8"];

const backends = [
  { name: "lean_pq", skips: [] },
  { name: "lean_multisig", skips: ["TELLS_WRONG_SLOT", "MERGE"] },
];

describe.for(backends)("the $name backend conforms to lean_prover.h", ({ name, skips }) => {
  const isSetUp = existsSync(join(ROOT, "build", `${name}.json`));
  const inputs = temporaryFolder();

  beforeAll(() => {
    if (!isSetUp) return;
    execFileSync(process.execPath, [join(ROOT, "native/build.mjs"), "--asan"], { stdio: "pipe" });
    execFileSync(process.execPath, [join(ROOT, "native/conformance/inputs.mjs"), inputs, name]);
  }, RUN_MS_MAX);

  function run(program: string, library: string, ...more: string[]) {
    const done = spawnSync(
      join(ROOT, "build", program),
      [join(ROOT, "build", library), join(inputs, "config.txt"), inputs, ...more],
      {
        encoding: "utf8",
        timeout: RUN_MS_MAX,
        env: sanitizerEnvironment(process.env),
      },
    );
    const failures = done.stdout.split("\n").filter((line) => line.startsWith("FAIL"));
    return { failures, status: done.status, stderr: done.stderr, stdout: done.stdout };
  }

  it.runIf(isSetUp)(
    "as compiled for use",
    () => {
      const ran = run("conformance", `${name}.so`);
      expect(ran.failures, ran.stdout).toEqual([]);
      expect(ran.status, ran.stderr).toBe(0);
      expect(ran.stdout).toContain("0 failed");
      const skipped = [...ran.stdout.matchAll(/^skip .*: the library does not offer (.*)$/gm)];
      expect(skipped.map(([, what]) => what)).toEqual([...skips, "a log"]);
    },
    RUN_MS_MAX,
  );

  it.runIf(isSetUp)(
    "under AddressSanitizer, without an error or a leak",
    () => {
      const ran = run("conformance-asan", `${name}-asan.so`);
      expect(ran.failures, ran.stdout).toEqual([]);
      expect(ran.stderr).not.toContain("Sanitizer");
      expect(ran.status, ran.stderr).toBe(0);
    },
    RUN_MS_MAX,
  );

  it.runIf(isSetUp)(
    "and so do calls that no correct caller makes",
    () => {
      const ran = run("fuzz-asan", `${name}-asan.so`, FUZZ_SEED, FUZZ_SECONDS);
      expect(ran.stdout).toContain("every answer is right");
      expect(ran.stderr).not.toContain("Sanitizer");
      expect(ran.status, ran.stderr).toBe(0);
    },
    RUN_MS_MAX,
  );

  it.runIf(isSetUp)("exits 2 and says why when the library is no backend", () => {
    const ran = run("conformance", `${name}.json`);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(`${name}.json`);
  });
});
