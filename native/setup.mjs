// Sets up the prover's Python: finds an interpreter with a shared libpython, makes .prover-venv,
// installs the pinned wheel and writes build/lean_pq.json, from which the service makes the
// backend's configuration. `make setup` runs this script, which does nothing when all of that is in
// place.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, fail, pipInstall, pythonEnvironment, run } from "./pip.mjs";

const WHEEL_VERSION = "0.7.0";
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const VENV = join(ROOT, ".prover-venv");
const VENV_PYTHON = join(VENV, "bin", "python");
const MANIFEST = join(ROOT, "build", "lean_pq.json");
const REQUIREMENTS = join(ROOT, "native", "requirements.txt");

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

const INSTALLED = `
import importlib.metadata, json, py_lean_pq, sysconfig
print(json.dumps({"version": importlib.metadata.version("py-lean-pq"),
                  "sitepackages": sysconfig.get_path("purelib")}))
`;

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
  run("prover", `making ${VENV}`, {
    advice: "Check that the folder is writable and the disk has space.",
    command: [python.executable, "-I", "-m", "venv", VENV],
    env: pythonEnvironment(),
  });
  pipInstall("prover", `py-lean-pq ${WHEEL_VERSION}`, VENV_PYTHON, ["-r", REQUIREMENTS]);
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
