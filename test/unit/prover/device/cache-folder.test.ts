/** The folder where a device's library keeps files. */
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  cacheFolderProblem,
  openCacheFolder,
} from "../../../../server/prover/device/cache-folder.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const isRoot = process.getuid?.() === 0;

test("is made for its user alone, and is taken again", () => {
  const path = join(temporaryFolder(), "cache");
  openCacheFolder(path, undefined);
  openCacheFolder(path, undefined);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test.runIf(isRoot)("is made for the provers' user, and refused where another owns it", () => {
  const path = join(temporaryFolder(), "cache");
  openCacheFolder(path, { uid: 65_534, gid: 65_534 });
  expect(statSync(path)).toMatchObject({ uid: 65_534, gid: 65_534 });
  expect(() => openCacheFolder(path, undefined)).toThrow(/user 65534 owns it: give it to user 0/);
});

test("is refused where others may write to it, where it is a link or a file, or cannot be made", () => {
  const folder = temporaryFolder();
  const open = join(folder, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const others = `other users may write to it: run 'chmod go-w ${open}'`;
  expect(() => openCacheFolder(open, undefined)).toThrow(
    `cannot use the cache folder ${open}: ${others}`,
  );
  expect(cacheFolderProblem(open, undefined)).toBe(others);
  const link = join(folder, "link");
  symlinkSync(folder, link);
  writeFileSync(join(folder, "file"), "");
  for (const path of [link, join(folder, "file")]) {
    expect(() => openCacheFolder(path, undefined)).toThrow(
      /it is not a folder: name another path$/,
    );
  }
  const below = join(folder, "missing", "cache");
  expect(() => openCacheFolder(below, undefined)).toThrow(/the folder .*missing does not exist$/);
  expect(cacheFolderProblem(below, undefined)).toMatch(/the folder .*missing does not exist$/);
});

test("is looked at without being made", () => {
  const path = join(temporaryFolder(), "cache");
  expect(cacheFolderProblem(path, undefined)).toBeUndefined();
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
});
