/** `lean-aggregator setup`: brings the shipped prover into the package's folder. */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { loadAddon } from "../native/addon.js";
import { readBackendFile } from "../server/prover/device/backend-file.js";
import type { BackendName } from "../server/prover/device/backend-file.js";
import type { CommandModules } from "./io/command.js";
import { addCommand, ending, exitCodes } from "./io/command.js";
import { packageRoot } from "./io/package-root.js";

const help = `
Finds a Python of this machine, makes an environment of its own in the package's
folder, and installs the prover's wheel there, in one fixed version with its hashes,
from the package index that pip is set up for. Where the package carries no addon
for this processor it is compiled, which needs a C++ compiler. Run it as the user
who owns the folder, and again after an upgrade. Does nothing when all is there.

The prover needs Linux on x86-64 with AVX2 and PCLMULQDQ, and CPython 3.11 to 3.14
with its shared library: on Debian and Ubuntu python3, python3-venv and libpython3-dev.

Examples:
  lean-aggregator setup
  lean-aggregator setup --python /usr/bin/python3.12
  lean-aggregator setup --with lean_multisig   # an older proof system, beside it

Exit codes:
  0  the prover is installed
  1  something is missing: the last lines say what to install
  2  a flag is wrong
`;

type Env = Readonly<Record<string, string | undefined>>;

interface SetupOptions {
  /** The interpreter to use. Default: PYTHON, else the newest that fits. */
  python?: string;
  /** The backend. Default: lean_pq. */
  with?: BackendName;
}

export function addSetupCommand(program: Command, modules: CommandModules): void {
  addCommand(program, "setup", { summary: "install the shipped prover", help })
    .option("--python <path>", "the Python to use (default: PYTHON, or the newest that fits)")
    .addOption(
      new Option("--with <backend>", "the backend to install the wheel of")
        .choices(["lean_pq", "lean_multisig"])
        .default("lean_pq"),
    )
    .action(ending(modules, (options: SetupOptions) => setUpBackend(modules.env, options)));
}

/**
 * True when the backend's file is there, and names a library that is.
 * @param backend default: lean_pq
 */
export function isBackendSetUp(backend?: BackendName): boolean {
  try {
    return existsSync(readBackendFile(packageRoot, backend).library);
  } catch {
    return false;
  }
}

/** Sets the shipped prover up; its messages go to the terminal. Resolves with an exit code. */
export async function setUpBackend(given: Env, options: SetupOptions = {}): Promise<number> {
  const { python, with: backend = "lean_pq" } = options;
  const env = { ...given, ...(python !== undefined && { PYTHON: python }) };
  const isInstalled = await runScript("setup.mjs", env, ["--with", backend]);
  if (!isInstalled) return exitCodes.error;
  copyCarriedLibraries();
  if (isBackendSetUp(backend) && isAddonThere()) return exitCodes.ok;
  return (await runScript("build.mjs", env)) ? exitCodes.ok : exitCodes.error;
}

/** A backend's file names its library in build/: puts there what the package carries, if nothing is. */
function copyCarriedLibraries(): void {
  const carried = join(packageRoot, "prebuilds", `${process.platform}-${process.arch}`);
  for (const name of existsSync(carried) ? readdirSync(carried) : []) {
    const path = join(packageRoot, "build", name);
    if (name.endsWith(".so") && !existsSync(path)) copyFileSync(join(carried, name), path);
  }
}

function isAddonThere(): boolean {
  try {
    loadAddon();
    return true;
  } catch {
    return false;
  }
}

/** Resolves with true when the script of `native/` has succeeded. */
function runScript(name: string, env: Env, args: string[] = []): Promise<boolean> {
  const script = join(packageRoot, "native", name);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: "inherit", env });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code === 0));
  });
}
