/** `make setup` in an environment that has options for Python and pip, seen by a stand-in Python. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../helpers/temporary-folder.js";

/** Prints what setup.mjs asks for, makes a venv of itself, and keeps pip's environment. */
const PYTHON = `#!${process.execPath}
const { copyFileSync, mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
const [isolated, flag, what, ...rest] = args;
const root = process.env.STAND_IN;
const strange = Object.keys(process.env).filter((name) => /^PYTHON/.test(name));
if (isolated !== "-I" || strange.length > 0) throw new Error("not isolated: " + args + strange);
if (flag === "-m" && what === "venv") {
  mkdirSync(rest[0] + "/bin", { recursive: true });
  copyFileSync(__filename, rest[0] + "/bin/python");
} else if (flag === "-m") {
  const pip = Object.entries(process.env).filter(([name]) => name.startsWith("PIP_"));
  writeFileSync(root + "/pip.json", JSON.stringify(Object.fromEntries(pip)));
} else if (what.includes("can_venv")) {
  const found = { version: [3, 13, 0], executable: __filename, libpython: __filename, canVenv: true };
  console.log(JSON.stringify(found));
} else if (what.includes("py_lean_pq")) {
  console.log(JSON.stringify({ version: "0.7.0", sitepackages: root }));
} else {
  const given = process.env.PIP_INDEX_URL;
  const settings = { "global.proxy": "http://proxy:1", "install.user": "true", "global.user": "true" };
  if (given !== undefined) settings[":env:.index-url"] = given;
  settings["global.index-url"] = "http://file/simple";
  const problem = process.env.PIP_CONFIG_FILE;
  if (problem !== undefined) console.log(JSON.stringify({ problem: "File " + problem + " is broken" }));
  else console.log(JSON.stringify({ settings, unreadable: process.env.HOME ? ["/a file"] : [] }));
}
`;

/** Runs setup.mjs in a fresh checkout, `root`. */
function setUp(env: Record<string, string>) {
  const root = join(temporaryFolder(), "with a space");
  mkdirSync(join(root, "native"), { recursive: true });
  for (const name of ["setup.mjs", "pip.mjs", "requirements.txt"])
    copyFileSync(join("native", name), join(root, "native", name));
  const python = join(root, "python");
  writeFileSync(python, PYTHON);
  chmodSync(python, 0o755);
  const ran = spawnSync(process.execPath, [join(root, "native/setup.mjs")], {
    env: { PATH: process.env["PATH"], STAND_IN: root, PYTHON: python, ...env },
    encoding: "utf8",
  });
  return { root, ...ran };
}

/** The `PIP_*` variables with which setup.mjs installs the wheel. */
function installedWith(env: Record<string, string>): unknown {
  const { root, stderr, status } = setUp(env);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(readFileSync(join(root, "pip.json"), "utf8"));
}

test("no option for Python and pip is heeded, in variables or files, but for the index", () => {
  expect(
    installedWith({
      ...{ PIP_USER: "1", PIP_TARGET: "/elsewhere", PIP_PREFIX: "/elsewhere", PIP_ROOT: "/root" },
      ...{ PIP_REQUIRE_VIRTUALENV: "1", PIP_DRY_RUN: "1", PIP_CONSTRAINT: "/c", PIP_LOG: "/l" },
      ...{ PYTHONHOME: "/nowhere", PYTHONPATH: "/nowhere", PYTHONSTARTUP: "/nowhere" },
      PIP_INDEX_URL: "http://variable/simple",
    }),
  ).toEqual({
    PIP_CONFIG_FILE: "/dev/null",
    PIP_INDEX_URL: "http://variable/simple",
    PIP_PROXY: "http://proxy:1",
  });
});

test("the index of pip's files is kept", () => {
  expect(installedWith({})).toMatchObject({ PIP_INDEX_URL: "http://file/simple" });
});

test("settings of pip that cannot be read are named, and nothing is installed without them", () => {
  const { root, stderr, status } = setUp({ PIP_CONFIG_FILE: "/broken" });
  expect(stderr).toBe(
    "prover: cannot read the settings of pip, which name its index: File /broken is broken\n",
  );
  expect([status, existsSync(join(root, "pip.json"))]).toEqual([1, false]);
});

test("a file of pip that this user may not read is named", () => {
  const { stderr, status } = setUp({ HOME: "/somewhere" });
  expect(stderr).toBe("prover: pip ignores /a file, as this user may not read it\n");
  expect(status).toBe(0);
});
