/** The lock of a device in a folder that is full, shared with others, or tidied up meanwhile. */
import { chmodSync, closeSync, constants, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { lockDevice } from "../../../../server/prover/device/device-lock.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "cpu.lock");
});

/** Locks with `lockFile` in place of the addon's; resolves to the descriptor, which is closed. */
async function lock(lockFile: (path: string) => number): Promise<number> {
  const fd = await lockDevice(
    { path, pid: 4711, waitMs: 0 },
    { lockFile, nowMs: () => 0, sleep: () => Promise.resolve(), onWait: () => undefined },
  );
  closeSync(fd);
  return fd;
}

const open = (flags = constants.O_RDWR | constants.O_CREAT) => openSync(path, flags, 0o600);

test("the file names the process that holds the lock", async () => {
  await lock(() => open());
  expect(readFileSync(path, "utf8")).toBe("4711\n");
});

test("a process id that cannot be written is no reason to stop", async () => {
  closeSync(open());
  await lock(() => open(constants.O_RDONLY));
  expect(readFileSync(path, "utf8")).toBe("");
});

test("a file that was deleted before it was locked is locked anew", async () => {
  let opened = 0;
  await lock(() => {
    const fd = open();
    if (opened++ === 0) rmSync(path);
    return fd;
  });
  expect(opened).toBe(2);
  expect(readFileSync(path, "utf8")).toBe("4711\n");
});

// The sticky bit keeps systemd-tmpfiles from deleting the file.
test.each([
  [0o700, 0o1600],
  [0o755, 0o1600],
  [0o770, 0o1660],
  [0o1777, 0o1666],
])(
  "in a folder of mode %o the file has mode %o: who may write there may lock",
  async (of, mode) => {
    chmodSync(folder, of);
    await lock(() => open());
    expect(statSync(path).mode & 0o7777).toBe(mode);
  },
);

test("a lock that cannot be taken says why, and what to do", async () => {
  const refuse = () => {
    throw new Error(`cannot lock ${path}: No locks available`);
  };
  await expect(lock(refuse)).rejects.toThrow(
    `cannot lock ${path}: No locks available: ` +
      "set --runtime-dir to a local folder that this user can write to",
  );
});
