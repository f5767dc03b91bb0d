/**
 * The example backend conforms, from inputs that `make_inputs` made for it, and the conformance
 * program finds each of the faults that are planted in it. Behind the service it logs and keeps
 * files. No real prover is needed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it, test } from "vitest";
import { Site } from "../chaos/chaos-service.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const CLI = "dist/cli/main.js";
const folder = temporaryFolder();
const config = join(folder, "config.txt");

function compile(name: string, ...flags: string[]): string {
  const library = join(folder, `${name}.so`);
  execFileSync(process.env.CC ?? "cc", [
    ...["-std=c11", "-Wall", "-Wextra", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"],
    ...[...flags, "-Inative/include", "-o", library, "examples/backend/toy_prover.c"],
  ]);
  return library;
}

function conformance(library: string, inputs = folder) {
  const ran = spawnSync("build/conformance", [library, config, inputs], { encoding: "utf8" });
  return { ...ran, failed: ran.stdout.split("\n").filter((line) => line.startsWith("FAIL")) };
}

beforeAll(() => {
  writeFileSync(config, "");
  const toy = compile("toy", "-Werror");
  execFileSync("build/make_inputs", [toy, config, toy, folder]);
});

it("the example backend passes every check, without a skip", () => {
  const { failed, status, stdout } = conformance(join(folder, "toy.so"));
  expect(failed, stdout).toEqual([]);
  expect(stdout).not.toMatch(/^skip/m);
  expect(stdout).toMatch(/^ok {3}merges a proof and signatures of two messages$/m);
  expect(status).toBe(0);
});

it.each([1, 3, 8])("limits are no fault: %i signatures at once, folds of 2 or 4", (rawsMax) => {
  const limits = [`-DTOY_RAWS_MAX=${rawsMax}`, "-DTOY_ARITIES=20u"];
  const limited = compile(`limited-${rawsMax}`, "-Werror", ...limits);
  const inputs = temporaryFolder();
  execFileSync("build/make_inputs", [limited, config, limited, inputs]);
  const { failed, stdout } = conformance(limited, inputs);
  // Whether anything is verified during so short a proof depends on the machine.
  expect(
    failed.filter((line) => !line.includes("without waiting")),
    stdout,
  ).toEqual([]);
  expect(stdout).toContain("the library does not offer a FOLD of one child");
  expect(stdout).toMatch(/^\d failed$/m);
});

it.each([
  [1, "takes every signature", /changed signature and a wrong key/],
  [2, "takes a signature of any slot", /at another slot from a bad one/],
  [3, "attests a message, not its keys", /its proof for one key more/],
  [4, "takes any rate", /a rate that it does not offer/],
  [5, "drops keys that are not wanted", /an input's key that is not wanted/],
  [6, "names the first signature for any", /changed signature, and names it/],
  [7, "does not verify its children", /child that attests other keys, and names it/],
  [8, "writes past its caller's struct", /more of a description than its caller knows/],
  [9, "leaves a stale buffer", /no proof behind where it refuses one/],
  [10, "forgets its child", /attests the child's keys/],
  [12, "looks into a proof of any length", /longer than proof_bytes_max/],
  [13, "pools the keys of all messages", /the keys of its messages exchanged/],
  [14, "forgets its second child", /attests the keys of both children/],
  [15, "folds no children at all", /folds two children into one proof/],
  [16, "calls a short proof forbidden", /refuses half a proof/],
  [18, "opens a second handle", /refuses a second handle/],
  [19, "looks at the slot alone", /as bad when it does not verify there/],
  [11, "logs at a level of its own", /lines of the levels that the header names/],
])("fault %i is found: a backend that %s", (mutant, _what, sentence) => {
  const { failed, status, stdout } = conformance(
    compile(`mutant-${mutant}`, `-DTOY_MUTANT=${mutant}`, "-Wno-all", "-Wno-extra"),
  );
  expect(failed.join("\n"), stdout).toMatch(sentence);
  expect(status).toBe(1);
});

test("each need of the service that a library does not meet is a failed check", () => {
  const { failed, status } = conformance(compile("needs", "-DTOY_MUTANT=17"));
  expect(failed).toEqual([
    "FAIL names its backend, scheme and revision, in 1 to 256 printable characters",
    "FAIL has a proof_bytes_max of 1 to 524288",
    "FAIL verifies beside a proof: VERIFIES_BESIDE",
    "FAIL takes a key in several inputs: SAME_KEY_TWICE",
    "FAIL takes two children in a FOLD",
    "FAIL takes 4096 keys in a FOLD",
    "FAIL takes any number of children in a MERGE, 4096 signatures, and 4096 keys a message",
    "FAIL has its default rate, bit 0, among its rates, if any",
  ]);
  expect(status).toBe(1);
});

test("the fuzzer finds the example right, and a call that a faulty one answers wrong", () => {
  const fuzzer = join(folder, "fuzz");
  const sources = ["fuzz", "subject"].map((name) => `native/conformance/${name}.c`);
  const flags = ["-std=c11", "-O2", "-o", fuzzer];
  execFileSync(process.env.CC ?? "cc", [...flags, ...sources, "-ldl", "-pthread"]);
  const fuzz = (library: string) =>
    spawnSync(fuzzer, [library, config, folder, "1", "1"], { encoding: "utf8" });
  const right = fuzz(join(folder, "toy.so"));
  expect(right.stdout).toContain("every answer is right");
  expect(right.status).toBe(0);
  const wrong = fuzz(compile("fuzzed", "-DTOY_MUTANT=16"));
  expect(wrong.stdout).toMatch(/^FOUND execution \d+: a bad proof is not BAD_PROOF \(status 1/m);
  expect(wrong.status).toBe(1);
});

test("behind the service it proves, keeps files where the device says, and its lines are in the log", async () => {
  const backend = { library: join(folder, "toy.so"), config: "" };
  const cacheFolder = join(folder, "cache");
  const withCalibration = { ...backend, calibration: join(folder, "calibration.json") };
  const site = new Site(withCalibration, { fileMb: 1, cacheFolder, threads: 1 });
  try {
    const service = await site.start();
    const lines = service.log.filter(({ msg }) => msg === "the library logs");
    expect(lines).toMatchObject([
      { device: site.device, level: "info", line: "set up for 1 threads, opened 0 times before" },
      { device: site.device, level: "info", line: "set up for 1 threads, opened 1 times before" },
    ]);
    expect(readFileSync(join(cacheFolder, "opened"), "utf8")).toBe("2\n");
    expect(statSync(join(cacheFolder, "opened")).mode & 0o777).toBe(0o600);
    const snapshot = join(folder, "snapshot.json");
    const flags = ["--server", site.address, "--deadline-ms", "10000", "--fence-ms", "20000"];
    const submitted = execFileSync(process.execPath, [CLI, "submit", snapshot, ...flags]);
    expect(submitted.toString()).toContain("16 of 16 votes proved");
    expect(service.log.map(({ msg }) => msg)).not.toContain("cannot use the calibration");
    await service.stop();
  } finally {
    site.dispose();
  }
});
