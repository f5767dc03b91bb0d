// Installs pinned wheels with pip: for the prover (setup.mjs), and for tools.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { devNull } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

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

/**
 * This process's environment without what changes Python or pip: PYTHONHOME and the like, and pip's
 * options, such as PIP_USER, which would put the wheel elsewhere.
 */
export function pythonEnvironment() {
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
function pipEnvironment(who, python) {
  const names = ["PIP_CONFIG_FILE", ...PIP_NETWORK.map(variableOf)];
  const pip = Object.entries(process.env).filter(([name]) => names.includes(name));
  const found = ask(python, PIP_SETTINGS, {
    ...pythonEnvironment(),
    ...Object.fromEntries(pip),
  });
  if (found?.settings === undefined) {
    const why = found?.problem || "pip does not start";
    fail(`${who}: cannot read the settings of pip, which name its index: ${why}`);
  }
  for (const file of found.unreadable)
    console.error(`${who}: pip ignores ${file}, as this user may not read it`);
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
export function ask(python, script, env = pythonEnvironment()) {
  const run = spawnSync(python, ["-I", "-c", script], { encoding: "utf8", env });
  if (run.error !== undefined || run.status !== 0) return null;
  try {
    return JSON.parse(run.stdout);
  } catch {
    return null; // not an interpreter, but a wrapper script that prints something else
  }
}

/** What runs a make target of a setup, in a checkout or in an installed package. */
export function setupCommand(target) {
  if (existsSync(join(ROOT, "Makefile"))) return `make ${target}`;
  const [, backend] = /^setup-(.*)$/.exec(target) ?? [];
  return `lean-aggregator setup${backend === undefined ? "" : ` --with lean_${backend}`}`;
}

/** Ends the process. */
export function fail(text) {
  console.error(text);
  process.exit(1);
}

/**
 * Runs one step of a setup; its messages go to the terminal. Exits with `advice` on failure, and the
 * make target that tries again.
 */
export function run(who, step, { advice, command: [program, ...args], env, target = "setup" }) {
  console.log(`${who}: ${step}`);
  const done = spawnSync(program, args, { stdio: "inherit", env });
  if (done.status === 0) return;
  const why = done.error?.message ?? (done.signal ? `signal ${done.signal}` : "see above");
  fail(
    [
      `${who}: failed while ${step}: ${why}`,
      `  command: ${[program, ...args].join(" ")}`,
      `${advice} Then run '${setupCommand(target)}' again.`,
    ].join("\n"),
  );
}

/** Installs with the pip of this interpreter, and only what the hashes of a file of requirements name. */
export function pipInstall(who, what, python, args, target = "setup") {
  const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--quiet"];
  const pinned = ["--require-hashes", "--only-binary", ":all:", "--no-deps"];
  run(who, `installing ${what}`, {
    advice: "Check that pip can reach its package index (PIP_INDEX_URL, default pypi.org).",
    command: [python, ...pip, ...pinned, ...args],
    env: pipEnvironment(who, python),
    target,
  });
}
