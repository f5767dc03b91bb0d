// Compiles each native part that is older than its sources: the addon (node-gyp), the backend
// build/lean_pq.so, the conformance program and the maker of its inputs. With --asan also the backend,
// the conformance program and the fuzzer of the ABI under AddressSanitizer, as
// build/{lean_pq-asan.so,conformance-asan,fuzz-asan}.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const WARNINGS = ["-Wall", "-Wextra", "-Werror"];
const ASAN = ["-fsanitize=address", "-fno-omit-frame-pointer", "-g", "-O1"];
const DL = process.platform === "linux" ? ["-ldl"] : [];
const CONFORMANCE = ["conformance.c", "replay.c"];
const CXX = process.env.CXX || "c++";
const CC = process.env.CC || "cc";

function fail(text) {
  console.error(text);
  process.exit(1);
}

/** Runs the command that makes `output`; its messages go to the terminal. Exits when it fails. */
function run(output, command, args) {
  const done = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  if (done.status === 0) return;
  const why = done.error?.message ?? (done.signal ? `signal ${done.signal}` : "see above");
  fail(
    [
      `native: cannot compile ${output}: ${why}`,
      `  command: ${[command, ...args].join(" ")}`,
      `  folder:  ${ROOT}`,
      "Fix the cause and run 'make setup' again.",
    ].join("\n"),
  );
}

/** Exits with advice when the command is not installed; `why` says what it is needed for. */
function checkTool(command, why) {
  if (spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined) return;
  fail(
    [
      `native: '${command}' was not found; it ${why}. Install a compiler:`,
      "  Debian, Ubuntu: apt-get install build-essential python3",
      "  macOS:          xcode-select --install",
      "or name one: CC for C, CXX for C++. Then run 'make setup' again.",
    ].join("\n"),
  );
}

function filesIn(folder) {
  return readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
}

/** True when the output is missing or older than one of its inputs, this script included. */
function isStale(output, inputs) {
  const path = join(ROOT, output);
  if (!existsSync(path)) return true;
  const made = statSync(path).mtimeMs;
  const all = [...inputs, "native/build.mjs", "native/include/lean_prover.h"];
  return all.some((input) => statSync(join(ROOT, input)).mtimeMs > made);
}

/** Compiles the output if stale, under another name first: a failure leaves no partial output. */
function compile(compiler, output, inputs, args) {
  if (!isStale(output, inputs)) return;
  console.log(`native: compiling ${output}`);
  checkTool(compiler, `compiles ${output}`);
  run(output, compiler, [...WARNINGS, ...args, "-o", `${output}.new`, ...DL, "-pthread"]);
  renameSync(join(ROOT, `${output}.new`), join(ROOT, output));
}

function buildAddon() {
  const output = "build/Release/lean_aggregator.node";
  if (!isStale(output, [...filesIn("native/addon"), "binding.gyp"])) return;
  console.log(`native: compiling ${output}`);
  checkTool(CXX, "compiles the addon");
  checkTool("make", "compiles the addon");
  const gyp = join(ROOT, "node_modules", ".bin", "node-gyp");
  if (!existsSync(gyp)) fail(`native: ${gyp} was not found; run 'npm ci' first`);
  // With --nodedir, node-gyp uses the headers beside Node and downloads none.
  const prefix = join(dirname(process.execPath), "..");
  const hasHeaders = existsSync(join(prefix, "include", "node", "node.h"));
  const options = hasHeaders ? [`--nodedir=${prefix}`] : [];
  if (!hasHeaders) console.log(`native: no Node headers in ${prefix}; node-gyp may download them`);
  // Not 'rebuild', which empties build/: setup.mjs keeps its manifest there.
  run(output, gyp, ["configure", "build", "--loglevel=warn", ...options]);
  // make leaves the time of an output that it finds up to date, which would stay stale here.
  utimesSync(join(ROOT, output), new Date(), new Date());
}

function buildBackend(output, flags) {
  const folder = "native/backends/lean_pq";
  const inputs = filesIn(folder);
  const sources = inputs.filter((path) => path.endsWith(".cc"));
  const shared = ["-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden"];
  compile(CXX, output, inputs, [...shared, ...flags, ...sources]);
}

function buildProgram(output, names, flags) {
  const folder = "native/conformance";
  const sources = [...names, "subject.c"].map((name) => `${folder}/${name}`);
  const inputs = [...sources, `${folder}/subject.h`, `${folder}/replay.h`];
  compile(CC, output, inputs, ["-std=c11", ...flags, ...sources]);
}

function main() {
  const unknown = process.argv.slice(2).filter((argument) => argument !== "--asan");
  if (unknown.length > 0) fail(`native: unknown argument ${unknown[0]}; usage: build.mjs [--asan]`);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  buildAddon();
  buildBackend("build/lean_pq.so", ["-O2"]);
  buildProgram("build/conformance", CONFORMANCE, ["-O2"]);
  buildProgram("build/make_inputs", ["make_inputs.c"], ["-O2"]);
  if (process.argv.includes("--asan")) {
    buildBackend("build/lean_pq-asan.so", ASAN);
    buildProgram("build/conformance-asan", CONFORMANCE, ASAN);
    buildProgram("build/fuzz-asan", ["fuzz.c"], ASAN);
  }
}

main();
