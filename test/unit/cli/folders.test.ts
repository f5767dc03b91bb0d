/** Where the locks of the devices and the learned costs are, and who may take that place. */
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  makeFolder,
  makeRuntimeFolder,
  runtimeFolderOf,
  stateFolderOf,
} from "../../../cli/run/folders.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const UID = process.getuid?.() ?? 0;
const NOBODY = 65_534;
const session = temporaryFolder();
const OWN = { mustBeOwn: false };

describe("the runtime folder", () => {
  test.each<[configured: string | undefined, env: Record<string, string>, path: string]>([
    ["/x", { RUNTIME_DIRECTORY: "/run/unit", XDG_RUNTIME_DIR: session }, "/x"],
    [undefined, { RUNTIME_DIRECTORY: "/run/unit:/run/other" }, "/run/unit"],
    [undefined, { RUNTIME_DIRECTORY: "" }, "/run/lean-aggregator"],
    [undefined, { XDG_RUNTIME_DIR: session }, "/run/lean-aggregator"],
  ])("of root, with --runtime-dir %s and %j, is %s", (configured, env, path) => {
    const facts = { env, uid: 0, temporaryFolder: "/tmp" };
    expect(runtimeFolderOf(configured, facts)).toEqual({ path, ...OWN });
  });

  test("of a user is in the session's folder, if that is the user's own", () => {
    const facts = { env: { XDG_RUNTIME_DIR: session }, uid: 1000, temporaryFolder: "/tmp" };
    const own = { ...facts, uid: UID || 1000 };
    if (UID !== 0) {
      const path = join(session, "lean-aggregator");
      expect(runtimeFolderOf(undefined, own)).toEqual({ path, ...OWN });
    }
    const other = { ...facts, uid: UID + 1 };
    const fallback = { path: `/tmp/lean-aggregator-${UID + 1}`, mustBeOwn: true };
    expect(runtimeFolderOf(undefined, other)).toEqual(fallback);
  });

  test.each([{ XDG_RUNTIME_DIR: "relative" }, { XDG_RUNTIME_DIR: "/missing" }, {}])(
    "of a user with %j is one of their own in the temporary folder",
    (env) => {
      const facts = { env, uid: 1000, temporaryFolder: "/var/tmp" };
      const folder = { path: "/var/tmp/lean-aggregator-1000", mustBeOwn: true };
      expect(runtimeFolderOf(undefined, facts)).toEqual(folder);
    },
  );

  test("in the temporary folder is for its user, whatever it was", () => {
    const path = join(temporaryFolder(), "own");
    mkdirSync(path, { mode: 0o777 });
    makeRuntimeFolder({ path, mustBeOwn: true }, UID);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test("in the temporary folder is refused if another user took the name, or if it is a link", () => {
    const folder = temporaryFolder();
    const use = (path: string, uid: number) => () =>
      makeRuntimeFolder({ path, mustBeOwn: true }, uid);
    const link = join(folder, "link");
    symlinkSync(folder, link);
    const todo = "; set --runtime-dir to a folder that this user can write to";
    const cannot = "cannot use the runtime folder";
    expect(use(folder, NOBODY)).toThrow(`${cannot} ${folder}: user ${UID} owns it${todo}`);
    expect(use(link, UID)).toThrow(`${cannot} ${link}: it is not a folder${todo}`);
  });

  test("is refused if it is a file, or below one, or on what cannot be written", () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const todo = "; set --runtime-dir to a folder that this user can write to";
    const use = (path: string) => () => makeRuntimeFolder({ path, mustBeOwn: false }, UID);
    const cannot = "cannot make the runtime folder";
    expect(use(file)).toThrow(`${cannot} ${file}: it is a file, not a folder${todo}`);
    const below = join(file, "below");
    expect(use(below)).toThrow(
      `${cannot} ${below}: a part of the path is a file, not a folder${todo}`,
    );
    expect(use("/proc/lean-aggregator")).toThrow(todo);
  });
});

describe("the state folder", () => {
  const HOME = "/home/u";
  test.each<[uid: number, env: Record<string, string>, path: string | undefined]>([
    [0, { STATE_DIRECTORY: "/var/lib/unit:/var/lib/other" }, "/var/lib/unit"],
    [0, { HOME: "/root", XDG_STATE_HOME: "/root/state" }, "/var/lib/lean-aggregator"],
    [1000, { HOME, XDG_STATE_HOME: "/s" }, "/s/lean-aggregator"],
    [1000, { HOME, XDG_STATE_HOME: "relative" }, "/home/u/.local/state/lean-aggregator"],
    [1000, { HOME, XDG_STATE_HOME: "" }, "/home/u/.local/state/lean-aggregator"],
    [1000, { HOME: "" }, undefined],
    [1000, {}, undefined],
  ])("of user %d with %j is %s", (uid, env, path) => {
    const facts = { env, uid, temporaryFolder: "/tmp" };
    expect(stateFolderOf(undefined, facts)).toBe(path);
    expect(stateFolderOf("/x", facts)).toBe("/x");
  });
});

test("a folder is made with those above it, for this user only, whatever the umask", () => {
  const top = join(temporaryFolder(), "a b\nc");
  const before = process.umask(0o777);
  try {
    makeFolder(join(top, "d", "e"));
    makeFolder(join(top, "d", "e"));
  } finally {
    process.umask(before);
  }
  for (const path of [top, join(top, "d"), join(top, "d", "e")])
    expect(statSync(path).mode & 0o777).toBe(0o700);
});

test.runIf(process.platform === "linux")("a folder that /proc has no place for is refused", () => {
  expect(() => makeFolder("/proc/lean-aggregator")).toThrow(/ENOENT/);
});
