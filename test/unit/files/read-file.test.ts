/** What a user may name as a file by mistake ends in a sentence, at once, and not in a hang. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readFileWithin } from "../../../server/files/read-file.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const polled = { bytesMax: 10, mustBeFile: true };
const once = { bytesMax: 10, mustBeFile: false };

test("a file is read whole, through links, up to the limit", () => {
  writeFileSync(at("full"), "0123456789");
  symlinkSync(at("full"), at("link"));
  expect(readFileWithin(at("link"), polled).toString()).toBe("0123456789");
  writeFileSync(at("empty"), "");
  expect(readFileWithin(at("empty"), once)).toHaveLength(0);
});

test.each([polled, once])(
  "a folder, a file and a device beyond the limit are refused: %j",
  (options) => {
    mkdirSync(at("folder"), { recursive: true });
    writeFileSync(at("long"), "0123456789a");
    expect(() => readFileWithin(at("folder"), options)).toThrow("it is a folder");
    expect(() => readFileWithin(at("long"), options)).toThrow("it has more than 10 bytes");
    expect(() => readFileWithin("/dev/zero", options)).toThrow(
      options.mustBeFile ? "it is not a regular file" : "it has more than 10 bytes",
    );
  },
);

test("a pipe is refused without waiting where a file is polled", () => {
  execFileSync("/usr/bin/mkfifo", [at("pipe")]);
  expect(() => readFileWithin(at("pipe"), polled)).toThrow("it is not a regular file");
});

test("a pipe is read to its end where it is read once, also when its writer comes later", () => {
  execFileSync("bash", ["-c", `mkfifo ${at("late")}`]);
  spawn("bash", ["-c", `sleep 0.2; (printf 12; sleep 0.2; printf 34) > ${at("late")}`]);
  expect(readFileWithin(at("late"), once).toString()).toBe("1234");
});
