/** A prover process that cannot be started: the failure is a start that failed, in plain words. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startForkedProver } from "../../../server/prover/forked-prover.js";
import { explainStartFailure } from "../../../server/prover/start-failure.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const ROOT = process.cwd();
const options = {
  deviceId: "cpu0",
  childPath: "none",
  backend: { library: "none", config: "" },
  nice: 0,
  cores: [],
  env: {},
  startTimeoutMs: 60_000,
};

/** Opens files until it can open no more, then starts a prover, and prints how that ended. */
const SCRIPT = `
  import { openSync } from "node:fs";
  import { startForkedProver } from "${ROOT}/dist/server/prover/forked-prover.js";
  process.stdout.write("");
  try { for (;;) openSync("/dev/null"); } catch {}
  const options = { ...${JSON.stringify(options)}, childPath: process.argv[1] };
  startForkedProver(options).catch(({ kind, message }) => console.log(kind, message));
`;

test("without a file descriptor it is a failed start that says so, and nothing is unhandled", () => {
  const path = join(temporaryFolder(), "starve.mjs");
  writeFileSync(path, SCRIPT);
  const limited = ["-c", 'ulimit -n 256; exec "$@"', "sh", process.execPath, path];
  const { stdout, stderr, status } = spawnSync("sh", limited, { encoding: "utf8" });
  expect(stdout).toMatch(
    /^start_failed prover of cpu0 did not start: no file descriptor is left: raise 'ulimit -n'/,
  );
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
});

test("a start that the system refuses at once is a failed start too", async () => {
  // Node.js throws for this one, as it does for want of memory and for a user that it may not set.
  const started = startForkedProver({ ...options, env: { A: "1\0" } });
  await expect(started).rejects.toMatchObject({ kind: "start_failed" });
});

test.each([
  ["spawn /usr/bin/node EMFILE", "no file descriptor is left: raise 'ulimit -n'"],
  ["spawn /usr/bin/node ENFILE", "the machine has no file descriptor left: raise fs.file-max"],
  ["spawn /usr/bin/node EAGAIN", "the limit on processes and threads is reached: raise"],
  ["spawn ENOMEM", "no memory is left: add some"],
  ["spawn /usr/bin/node ENOENT", "Node.js was moved or replaced: restart the service"],
  ["spawn EPERM", 'the service may not change to the device\'s "user"'],
  [
    "exit code 134: node[9]: ../src/node_platform.cc:68: Assertion `(0) == (uv_thread_create(t.get(), start_thread, this))' failed.",
    "the limit on processes and threads is reached: raise",
  ],
  [
    'exit code 1: The global thread pool has not been initialized.: ThreadPoolBuildError { kind: IOError(Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }) }',
    "the limit on processes and threads is reached: raise",
  ],
  ["exit code 133: # Fatal process out of memory: CodeRange", "no memory is left: add some"],
  ["signal SIGABRT: memory allocation of 4096 bytes failed", "no memory is left: add some"],
])("%s is explained", (detail, start) => {
  const text = explainStartFailure(detail);
  expect(text.startsWith(start), text).toBe(true);
  expect(text.endsWith(`(${detail})`)).toBe(true);
});

test("a failure of unknown cause is left as it is", () => {
  expect(explainStartFailure("exit code 7: no such device")).toBe("exit code 7: no such device");
});
