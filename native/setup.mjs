// Sets up the prover's Python: finds an interpreter with a shared libpython, makes .prover-venv,
// installs the pinned wheel and writes build/lean_pq.json, from which the service makes the
// backend's configuration. `make setup` runs this script, which does nothing when all of that is in
// place.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WHEEL_VERSION = "0.7.0";
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const VENV = join(ROOT, ".prover-venv");
const VENV_PYTHON = join(VENV, "bin", "python");
const MANIFEST = join(ROOT, "build", "lean_pq.json");
const REQUIREMENTS = join(ROOT, "native", "requirements.txt");

/** Settings of pip that say how it reaches its index; all others would change what is installed. */
const PIP_NETWORK = [
  ...["index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert"],
  ...[
    "client-cert",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "keyring-provider",
    "use-feature",
  ],
];

const PROBE = `
import json, os, sys, sysconfig as s
names = [s.get_config_var(n) for n in ("INSTSONAME", "LDLIBRARY")]
folders = [s.get_config_var("LIBDIR"), s.get_config_var("PYTHONFRAMEWORKPREFIX"),
           s.get_config_var("LIBPL"), os.path.join(sys.base_prefix, "lib")]
if s.get_config_var("LIBDIR") and s.get_config_var("MULTIARCH"):
    folders.append(os.path.join(s.get_config_var("LIBDIR"), s.get_config_var("MULTIARCH")))
paths = [os.path.join(f, n) for f in folders if f for n in names if n and not n.endswith(".a")]
try:
    import ensurepip, venv
    can_venv = True
except ImportError:
    can_venv = False
print(json.dumps({"version": list(sys.version_info[:3]), "executable": sys.executable,
                  "freeThreaded": bool(s.get_config_var("Py_GIL_DISABLED")), "canVenv": can_venv,
                  "libpython": next((p for p in paths if os.path.isfile(p)), None)}))
`;

/** pip itself leaves out a file that it may not read, without a word. */
const PIP_SETTINGS = `
import ast, json, os, re, subprocess, sys
def pip_config(what):
    args = [sys.executable, "-I", "-m", "pip", "config", what]
    return subprocess.run(args, capture_output=True, text=True, errors="replace")
listed = pip_config("list")
if listed.returncode != 0:
    print(json.dumps({"problem": " ".join(listed.stderr.split())}))
else:
    pairs = [line.partition("=") for line in listed.stdout.splitlines()]
    files = re.findall(r"^ +(.+), exists: True$", pip_config("debug").stdout, re.M)
    print(json.dumps({"settings": {name: ast.literal_eval(value) for name, _, value in pairs},
                      "unreadable": [f for f in files if not os.access(f, os.R_OK)]}))
`;

const INSTALLED = `
import importlib.metadata, json, py_lean_pq, sysconfig
print(json.dumps({"version": importlib.metadata.version("py-lean-pq"),
                  "sitepackages": sysconfig.get_path("purelib")}))
`;

/**
 * This process's environment without what changes Python or pip: PYTHONHOME and the like, and pip's
 * options, such as PIP_USER, which would put the wheel elsewhere.
 */
function pythonEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(PYTHON|PIP_|__PYVENV)/i.test(name),
  );
  return Object.fromEntries(kept);
}

const variableOf = (option) => `PIP_${option.replaceAll("-", "_").toUpperCase()}`;

/**
 * The environment of the installation: none of pip's files and variables are heeded, but for how it
 * reaches its index.
 */
function pipEnvironment() {
  const names = ["PIP_CONFIG_FILE", ...PIP_NETWORK.map(variableOf)];
  const pip = Object.entries(process.env).filter(([name]) => names.includes(name));
  const found = ask(VENV_PYTHON, PIP_SETTINGS, {
    ...pythonEnvironment(),
    ...Object.fromEntries(pip),
  });
  if (found?.settings === undefined) {
    const why = found?.problem || "pip does not start";
    fail(`prover: cannot read the settings of pip, which name its index: ${why}`);
  }
  for (const file of found.unreadable)
    console.error(`prover: pip ignores ${file}, as this user may not read it`);
  const { settings } = found;
  const kept = { ...pythonEnvironment(), PIP_CONFIG_FILE: devNull };
  for (const option of PIP_NETWORK) {
    // Variables win over the files, as with pip itself.
    const [value] = [":env:", "install", "global"].flatMap(
      (section) => settings[`${section}.${option}`] ?? [],
    );
    if (value !== undefined) kept[variableOf(option)] = String(value).trim();
  }
  return kept;
}

/** What the script printed as JSON in this interpreter, or null when it could not run. */
function ask(python, script, env = pythonEnvironment()) {
  const run = spawnSync(python, ["-I", "-c", script], { encoding: "utf8", env });
  if (run.error !== undefined || run.status !== 0) return null;
  try {
    return JSON.parse(run.stdout);
  } catch {
    return null; // not an interpreter, but a wrapper script that prints something else
  }
}

/** Why the interpreter that `PROBE` described cannot run the prover, or null when it can. */
function faultOf(found) {
  if (found === null) return "is not installed, or does not start";
  const [major, minor] = found.version;
  if (major !== 3 || minor < 11 || minor > 14) return `has version ${found.version.join(".")}`;
  if (found.freeThreaded) return "is a free-threaded build, for which no wheel exists";
  if (found.libpython === null) return "has no shared libpython";
  if (!found.canVenv) return "has no venv or ensurepip module";
  return null;
}

function findPython() {
  const named = process.env.PYTHON;
  const versions = ["python3.14", "python3.13", "python3.12", "python3.11", "python3"];
  // A named interpreter is used or refused, never replaced by another one.
  const candidates = named === undefined || named === "" ? versions : [named];
  const faults = [];
  for (const candidate of candidates) {
    const found = ask(candidate, PROBE);
    const fault = faultOf(found);
    if (fault === null) return found;
    faults.push(`  ${candidate} ${fault}`);
  }
  fail(
    [
      "prover: no usable Python; it must be CPython 3.11 to 3.14 with a shared libpython. Tried:",
      ...faults,
      "Install one, or name one with PYTHON=/path/to/python3, and run 'make setup' again:",
      "  Debian, Ubuntu: apt-get install python3 python3-venv libpython3-dev",
      "  macOS:          brew install python@3.13",
      "  pyenv:          PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.13",
    ].join("\n"),
  );
}

function fail(text) {
  console.error(text);
  process.exit(1);
}

/** Runs one step of the setup; its messages go to the terminal. Exits with `advice` on failure. */
function run(step, advice, command, args, env) {
  console.log(`prover: ${step}`);
  const done = spawnSync(command, args, { stdio: "inherit", env });
  if (done.status === 0) return;
  const why = done.error?.message ?? (done.signal ? `signal ${done.signal}` : "see above");
  fail(
    [
      `prover: failed while ${step}: ${why}`,
      `  command: ${[command, ...args].join(" ")}`,
      `${advice} Then run 'make setup' again.`,
    ].join("\n"),
  );
}

/** True when the manifest's files exist and the venv imports the pinned wheel. */
function isDone() {
  if (!existsSync(MANIFEST) || !existsSync(VENV_PYTHON)) return false;
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(MANIFEST, "utf8"));
  } catch {
    return false; // an incomplete manifest is written again
  }
  const paths = [manifest.libpython, manifest.python, manifest.sitepackages];
  if (!paths.every((path) => typeof path === "string" && existsSync(path))) return false;
  if (manifest.python !== VENV_PYTHON) return false; // the checkout has moved
  return ask(VENV_PYTHON, INSTALLED)?.version === WHEEL_VERSION;
}

function main() {
  if (existsSync(MANIFEST)) console.log(`prover: checking ${VENV}`);
  if (isDone()) {
    console.log("prover: already set up");
    return;
  }
  const python = findPython();
  console.log(`prover: using Python ${python.version.join(".")} with ${python.libpython}`);
  rmSync(VENV, { recursive: true, force: true });
  const space = "Check that the folder is writable and the disk has space.";
  run(`making ${VENV}`, space, python.executable, ["-I", "-m", "venv", VENV], pythonEnvironment());
  const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--quiet"];
  const pinned = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", REQUIREMENTS];
  const index = "Check that pip can reach its package index (PIP_INDEX_URL, default pypi.org).";
  run(
    `installing py-lean-pq ${WHEEL_VERSION}`,
    index,
    VENV_PYTHON,
    [...pip, ...pinned],
    pipEnvironment(),
  );
  const installed = ask(VENV_PYTHON, INSTALLED);
  if (installed?.version !== WHEEL_VERSION) {
    fail(
      `prover: py-lean-pq ${WHEEL_VERSION} is installed in ${VENV} but does not import.\n` +
        "On x86_64 it needs a CPU with AVX2 and PCLMULQDQ; on another CPU, use another machine.\n" +
        `For Python's error: ${VENV_PYTHON} -c 'import py_lean_pq'`,
    );
  }
  mkdirSync(dirname(MANIFEST), { recursive: true });
  const manifest = {
    library: "build/lean_pq.so",
    libpython: python.libpython,
    python: VENV_PYTHON,
    sitepackages: installed.sitepackages,
  };
  writeFileSync(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`prover: set up py-lean-pq ${installed.version} in ${VENV}`);
}

main();
