// Sets up the prover's Python: finds an interpreter with a shared libpython, makes .prover-venv,
// installs the pinned wheel and writes build/lean_pq.json, from which the service makes the
// backend's configuration. `make setup` runs this script, which does nothing when all of that is in
// place. `--with lean_multisig` does the same for the wheel of that backend instead, in
// .multisig-venv: `make setup-multisig`.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, fail, pipInstall, pythonEnvironment, run, setupCommand } from "./pip.mjs";

/** By the name of the backend: its wheel, and the folder of its Python. */
const WHEELS = {
  lean_pq: {
    wheel: "py-lean-pq",
    version: "0.7.0",
    venv: ".prover-venv",
    requirements: "requirements.txt",
    target: "setup",
    needs:
      "On x86_64 it needs a CPU with AVX2 and PCLMULQDQ; on another CPU, use another machine.\n",
  },
  lean_multisig: {
    wheel: "py-lean-multisig",
    version: "0.4.0",
    venv: ".multisig-venv",
    requirements: "requirements-multisig.txt",
    target: "setup-multisig",
    needs: "",
  },
};
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

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

const installed = (wheel) => `
import importlib.metadata, json, ${wheel.replaceAll("-", "_")}, sysconfig
print(json.dumps({"version": importlib.metadata.version("${wheel}"),
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

/** How this system installs such a Python. */
function installing() {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (process.platform === "darwin") return "Install it: brew install python@3.13";
  if (/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release))
    return "Install it: apt-get install python3 python3-venv libpython3-dev";
  if (/^ID(_LIKE)?=.*(fedora|rhel)/m.test(release)) return "Install it: dnf install python3";
  return "Install CPython 3.11 to 3.14, configured with --enable-shared";
}

function findPython(target) {
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
      `${installing()}; or name one with PYTHON=/path/to/python3. Then run '${setupCommand(target)}' again.`,
    ].join("\n"),
  );
}

/** True when the manifest's files exist and the venv imports the pinned wheel. */
function isDone({ wheel, version }, { manifest: file, python }) {
  if (!existsSync(file) || !existsSync(python)) return false;
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return false; // an incomplete manifest is written again
  }
  const paths = [manifest.libpython, manifest.python, manifest.sitepackages];
  if (!paths.every((path) => typeof path === "string" && existsSync(path))) return false;
  if (manifest.python !== python) return false; // the checkout has moved
  return ask(python, installed(wheel))?.version === version;
}

/** Sets the wheel up, whatever is there. */
function install(
  name,
  { wheel, version, requirements, target, needs },
  { manifest, venv, python },
) {
  const found = findPython(target);
  console.log(`prover: using Python ${found.version.join(".")} with ${found.libpython}`);
  rmSync(venv, { recursive: true, force: true });
  run("prover", `making ${venv}`, {
    advice: "Check that the folder is writable and the disk has space.",
    command: [found.executable, "-I", "-m", "venv", venv],
    env: pythonEnvironment(),
    target,
  });
  const pinned = join(ROOT, "native", requirements);
  pipInstall("prover", `${wheel} ${version}`, python, ["-r", pinned], target);
  const made = ask(python, installed(wheel));
  if (made?.version !== version) {
    fail(
      `prover: ${wheel} ${version} is installed in ${venv} but does not import.\n${needs}` +
        `For Python's error: ${python} -c 'import ${wheel.replaceAll("-", "_")}'`,
    );
  }
  mkdirSync(dirname(manifest), { recursive: true });
  const content = {
    library: `build/${name}.so`,
    libpython: found.libpython,
    python,
    sitepackages: made.sitepackages,
  };
  writeFileSync(manifest, `${JSON.stringify(content, null, 2)}\n`);
  console.log(`prover: set up ${wheel} ${version} in ${venv}`);
}

/** The backend that the command line names. */
function named() {
  const [flag = "--with", name = "lean_pq", ...more] = process.argv.slice(2);
  if (flag === "--with" && name in WHEELS && more.length === 0) return name;
  const names = Object.keys(WHEELS).join(" or ");
  return fail(`prover: usage: setup.mjs [--with ${names}], not ${process.argv.slice(2).join(" ")}`);
}

function main() {
  const name = named();
  const wheel = WHEELS[name];
  const venv = join(ROOT, wheel.venv);
  const places = {
    venv,
    python: join(venv, "bin", "python"),
    manifest: join(ROOT, "build", `${name}.json`),
  };
  if (existsSync(places.manifest)) console.log(`prover: checking ${venv}`);
  if (isDone(wheel, places)) console.log("prover: already set up");
  else install(name, wheel, places);
}

main();
