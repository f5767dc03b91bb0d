/** A file is written whole or not at all, and nothing lies beside it. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { createFile, replaceFile } from "../../../server/files/write-file.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "file with a space\nand a line");
});

test("a file is replaced, with the mode asked for whatever the umask", async () => {
  writeFileSync(path, "old");
  const before = process.umask(0o777);
  try {
    await replaceFile(path, "new", { mode: 0o600 });
  } finally {
    process.umask(before);
  }
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toHaveLength(1);
});

test("several files of one folder may be written at once", async () => {
  const large = Buffer.alloc(8_000_000, "large");
  const [one, two] = [join(folder, "one"), join(folder, "two")];
  await Promise.all([replaceFile(path, large), createFile(one, "small"), replaceFile(two, large)]);
  expect(readFileSync(path).equals(large)).toBe(true);
  expect(readFileSync(one, "utf8")).toBe("small");
  expect(readFileSync(two).equals(large)).toBe(true);
  expect(readdirSync(folder)).toHaveLength(3);
});

test("a link is replaced, not followed", async () => {
  const victim = join(folder, "victim");
  writeFileSync(victim, "untouched");
  symlinkSync(victim, path);
  await replaceFile(path, "new");
  expect(lstatSync(path).isFile()).toBe(true);
  expect(readFileSync(victim, "utf8")).toBe("untouched");
});

test("a new file takes no name that is taken, not even of a link to nowhere", async () => {
  await createFile(path, "first", { mode: 0o600 });
  expect(readFileSync(path, "utf8")).toBe("first");
  await expect(createFile(path, "second")).rejects.toMatchObject({ code: "EEXIST" });
  const dangling = join(folder, "dangling");
  symlinkSync(join(folder, "nowhere"), dangling);
  await expect(createFile(dangling, "second")).rejects.toMatchObject({ code: "EEXIST" });
  expect(readFileSync(path, "utf8")).toBe("first");
  expect(readdirSync(folder)).toHaveLength(2);
});

test.each(["replaceFile", "createFile"])(
  "%s fails where only a part can be written, and leaves what was there",
  (name) => {
    if (name === "replaceFile") writeFileSync(path, "old");
    // A limit of 1 KiB: as on a disk with little space left, the first write stores a part.
    const module = pathToFileURL(join(process.cwd(), "dist/server/files/write-file.js")).href;
    const script = `import { ${name} as write } from ${JSON.stringify(module)};
      await write(process.argv[1], "x".repeat(20_000)).then(
        () => console.log("written"), ({ code }) => console.log(code));`;
    const run = spawnSync(
      "bash",
      [
        "-c",
        `trap '' XFSZ; ulimit -f 1; exec "$@"`,
        "bash",
        process.execPath,
        "--input-type=module",
        "-e",
        script,
        path,
      ],
      { encoding: "utf8" },
    );
    expect(run.stdout.trim()).toBe("EFBIG");
    expect(existsSync(path) ? readFileSync(path, "utf8") : "none").toBe(
      name === "replaceFile" ? "old" : "none",
    );
    expect(readdirSync(folder)).toHaveLength(name === "replaceFile" ? 1 : 0);
  },
);

test("a folder is not replaced, and nothing lies beside it", async () => {
  mkdirSync(path);
  await expect(replaceFile(path, "new")).rejects.toMatchObject({ code: "EISDIR" });
  expect(readdirSync(folder)).toHaveLength(1);
});
