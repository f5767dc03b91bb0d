/** The audit record: it delays no call, loses nothing for a moment's fault, and is rotated. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { AuditLog } from "../../../server/audit/audit-log.js";
import type { Clock } from "../../../server/clock.js";
import { systemClock } from "../../../server/clock.js";
import { limits } from "../../../server/limits.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

function auditAt(path: string, clock: Clock = systemClock) {
  const logged: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void logged.push(line) });
  const audit = new AuditLog(path, { clock, log });
  let lost = 0;
  audit.countLost(() => lost++);
  return { audit, logged, lost: () => lost };
}

const freshFile = () => join(temporaryFolder(), "audit.jsonl");
const linesIn = (path: string) =>
  readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("each line is appended in order, with its time and kind, after the call", async () => {
  const path = freshFile();
  writeFileSync(path, '{"kind":"stop"}\n');
  const { audit } = auditAt(path);
  audit.add("session", { votes: 4 });
  audit.add("act", { act: "drain" });
  expect(linesIn(path)).toHaveLength(1);
  await audit.close();
  const [, session, act] = linesIn(path);
  expect(session).toMatchObject({ kind: "session", votes: 4 });
  expect(String(session?.["time"])).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(act).toMatchObject({ kind: "act", act: "drain" });
});

test("the file is its owner's alone, and one that cannot be made is named at the start", () => {
  const path = freshFile();
  auditAt(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => auditAt(join(path, "below"))).toThrow("ENOTDIR");
});

test("after a rotation, what follows is in the new file", async () => {
  const path = freshFile();
  const { audit } = auditAt(path);
  audit.add("session", { number: 1 });
  await expect.poll(() => linesIn(path).length).toBe(1);
  renameSync(path, `${path}.1`);
  audit.add("session", { number: 2 });
  await expect.poll(() => linesIn(`${path}.1`).length).toBe(2);
  expect(await audit.reopen()).toBe(true);
  audit.add("session", { number: 3 });
  await audit.close();
  expect(linesIn(`${path}.1`)).toMatchObject([{ number: 1 }, { number: 2 }]);
  expect(linesIn(path)).toMatchObject([{ number: 3 }]);
});

test.runIf(process.platform === "linux")(
  "on a full disk lines wait, up to a bound; then they are written, with how many were lost",
  async () => {
    const path = freshFile();
    symlinkSync("/dev/full", path);
    const { audit, logged, lost } = auditAt(path);
    const text = "x".repeat(1000);
    const bytes =
      Buffer.byteLength(JSON.stringify({ time: new Date(), kind: "session", text })) + 1;
    const room = Math.floor(limits.auditPendingBytesMax / bytes);
    for (let number = 0; number < room + 10; number++) audit.add("session", { text });
    expect(lost()).toBe(10);
    await expect.poll(() => logged.length).toBe(1);
    unlinkSync(path);
    await audit.reopen();
    await expect.poll(() => linesIn(path).length).toBe(room);
    audit.add("session", { number: "after" });
    await audit.close();
    const lines = linesIn(path);
    expect(lines.filter(({ kind }) => kind === "session")).toHaveLength(room + 1);
    expect(lines.filter(({ kind }) => kind === "lost")).toMatchObject([{ lines: 10 }]);
    expect(logged.filter((line) => line.includes("cannot write the audit record"))).toHaveLength(1);
    expect(logged.join("")).toContain("the disk is full");
  },
);

test.runIf(process.platform === "linux")(
  "a disk that stays full holds up no end: what could not be written is counted in the log",
  async () => {
    const path = freshFile();
    symlinkSync("/dev/full", path);
    const { audit, logged } = auditAt(path);
    audit.add("session", {});
    audit.add("stop", {});
    await audit.close();
    expect(logged.at(-1)).toContain('"lines":2,"msg":"lines of the audit record are lost"');
    audit.add("session", {}); // after the end: nothing
  },
);

test.runIf(process.platform === "linux")(
  "a disk that hangs holds up no reload: after two seconds the file counts as not opened",
  async () => {
    const path = freshFile();
    const clock = new VirtualClock();
    const { audit, logged } = auditAt(path, clock);
    unlinkSync(path);
    // A pipe without a reader: opening it waits for one.
    execFileSync("mkfifo", [path]);
    const reopened = [audit.reopen(), audit.reopen()];
    await clock.runUntil(limits.diskTakeMsMax, () => undefined);
    expect(await Promise.all(reopened)).toEqual([false, false]);
    expect(logged.at(-1)).toContain("the disk of the audit record does not answer");
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await audit.close();
    closeSync(reader);
  },
);
