/** `doctor` leaves nothing behind, whether its checks fail or not. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commandLine } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const root = temporaryFolder();
const at = (name: string) => join(root, name);
for (const name of ["home", "tmp", "run", "state", "cwd"]) mkdirSync(at(name), { mode: 0o700 });
const env = {
  HOME: at("home"),
  TMPDIR: at("tmp"),
  XDG_RUNTIME_DIR: at("run"),
  XDG_STATE_HOME: at("state"),
  XDG_CACHE_HOME: at("home"),
};

/** Where doctor or its children could leave a file, also as root. */
function files(): string[] {
  const folders = [root, "/run/lean-aggregator", "/var/lib/lean-aggregator"];
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
    } catch {
      return []; // it does not exist
    }
  });
}

const listeners = [
  ...["--listen", `unix:${at("run/nodes")}`, "--admin", `unix:${at("run/admin")}`],
  ...["--probes", `unix:${at("run/probes")}`],
];
const missingLibrary = { id: "a", backend: { library: "/no/library.so", config: "" } };

test.each([
  ["with the fake prover", ["--prover", "fake"], 0],
  [
    "with folders of its own",
    ["--prover", "fake", "--state-dir", at("s"), "--runtime-dir", at("r")],
    0,
  ],
  ["with a folder to record in", ["--prover", "fake", "--record", at("recording")], 0],
  ["with a file to record in", ["--prover", "fake", "--record", "/dev/null"], 1],
  ["with an audit file", ["--prover", "fake", "--audit", at("audit.jsonl")], 0],
  ["with an audit file that cannot be", ["--prover", "fake", "--audit", at("no/audit.jsonl")], 1],
  [
    "with a socket's folder that is missing",
    ["--prover", "fake", "--admin", `unix:${at("x/y")}`],
    undefined,
  ],
  ["with a library that is missing", ["--devices", JSON.stringify([missingLibrary])], 1],
  [
    "with a cache folder that is not there yet",
    ["--devices", JSON.stringify([{ ...missingLibrary, fileMb: 1, cacheFolder: at("cache") }])],
    1,
  ],
  [
    "with a folder for calls that cannot be",
    ["--devices", JSON.stringify([missingLibrary]), "--keep-fatal", "/dev/null"],
    1,
  ],
  ["with a wrong setting", ["--deadline-ms", "0"], 2],
])("%s it leaves no file", async (_what, flags, code) => {
  const before = files();
  const ran = await commandLine(["doctor", ...listeners, ...flags], { env });
  if (code !== undefined) expect(ran.code, ran.stdout + ran.stderr).toBe(code);
  expect(files()).toEqual(before);
});
