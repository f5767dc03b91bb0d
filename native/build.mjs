// Compiles each native part that is older than its sources: the addon, the backend
// build/lean_pq.so, any other backend whose wheel setup.mjs has installed, the conformance program and
// the maker of its inputs. With --asan also the backends, the conformance program and the fuzzer of the
// ABI under AddressSanitizer, as build/{lean_pq-asan.so,conformance-asan,fuzz-asan}. With --into FOLDER
// only the addon and the backends, without their symbols, as a package carries them; name a compiler for
// another processor with CXX.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setupCommand } from "./pip.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const WARNINGS = ["-Wall", "-Wextra", "-Werror"];
const ASAN = ["-fsanitize=address", "-fno-omit-frame-pointer", "-g", "-O1"];
const DL = process.platform === "linux" ? ["-ldl"] : [];
const BACKENDS = "native/backends";
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
      `Fix the cause and run '${setupCommand("setup")}' again.`,
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
      `or name one: CC for C, CXX for C++. Then run '${setupCommand("setup")}' again.`,
    ].join("\n"),
  );
}

function filesIn(folder) {
  return readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
}

/** True when the output is missing or older than one of its inputs, this script included. */
function isStale(output, inputs) {
  const path = resolve(ROOT, output);
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
  renameSync(resolve(ROOT, `${output}.new`), resolve(ROOT, output));
}

/** Folder of a package that npm has installed: beside this one, where it is one of several. */
function packageFolder(name) {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return join(ROOT, "node_modules", name);
  }
}

/** Folders of the addon's headers, which come with npm; Node's may also be beside Node itself. */
function headerFolders() {
  const besideNode = join(dirname(process.execPath), "..", "include", "node");
  return [
    ["napi.h", packageFolder("node-addon-api")],
    ["node_api.h", join(packageFolder("node-api-headers"), "include"), besideNode],
  ].map(([name, ...folders]) => {
    const folder = folders.find((each) => existsSync(join(each, name)));
    return folder ?? fail(`native: ${name} was not found in ${folders[0]}; run 'npm ci' first`);
  });
}

/** Node has the functions of the Node-API: the addon is linked without them. */
function buildAddon(output, flags) {
  const inputs = filesIn("native/addon");
  const sources = inputs.filter((path) => path.endsWith(".cc"));
  const headers = headerFolders().map((folder) => `-isystem${folder}`);
  const defines = ["-DNAPI_VERSION=8", "-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL"];
  const shared =
    process.platform === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared"];
  const language = ["-std=c++17", "-fPIC", "-fvisibility=hidden", ...defines, ...headers];
  mkdirSync(dirname(resolve(ROOT, output)), { recursive: true });
  compile(CXX, output, inputs, [...language, ...shared, ...flags, ...sources]);
}

/** The backends that have been set up; the one that the service ships in any case. */
function backends() {
  const isSetUp = (name) => name === "lean_pq" || existsSync(join(ROOT, "build", `${name}.json`));
  return readdirSync(join(ROOT, BACKENDS)).filter((name) => name !== "wheel" && isSetUp(name));
}

function buildBackend(name, output, flags) {
  const inputs = [`${BACKENDS}/wheel`, `${BACKENDS}/${name}`].flatMap(filesIn);
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

/** What a package carries. The C++ library is the one that Node itself needs. */
function buildInto(folder) {
  const flags = ["-O2", "-s"];
  buildAddon(join(folder, "lean_aggregator.node"), flags);
  for (const name of readdirSync(join(ROOT, BACKENDS)).filter((each) => each !== "wheel"))
    buildBackend(name, join(folder, `${name}.so`), flags);
}

function main() {
  const [option, folder, ...more] = process.argv.slice(2);
  if (option === "--into" && folder !== undefined && more.length === 0) return buildInto(folder);
  if (option !== undefined && (option !== "--asan" || folder !== undefined))
    fail(`native: unknown arguments; usage: build.mjs [--asan | --into FOLDER]`);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  buildAddon("build/Release/lean_aggregator.node", ["-O2"]);
  for (const name of backends()) buildBackend(name, `build/${name}.so`, ["-O2"]);
  buildProgram("build/conformance", CONFORMANCE, ["-O2"]);
  buildProgram("build/make_inputs", ["make_inputs.c"], ["-O2"]);
  if (option === "--asan") {
    for (const name of backends()) buildBackend(name, `build/${name}-asan.so`, ASAN);
    buildProgram("build/conformance-asan", CONFORMANCE, ASAN);
    buildProgram("build/fuzz-asan", ["fuzz.c"], ASAN);
  }
}

main();
