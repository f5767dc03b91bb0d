/** Standard error of a prover process: lines of its library's log, and its last words. */
import { expect, test } from "vitest";
import type { LibraryLine } from "../../../server/prover/child-stderr.js";
import { ChildStderr } from "../../../server/prover/child-stderr.js";
import { limits } from "../../../server/limits.js";

const MARK = "\x1e";

function reader() {
  const lines: LibraryLine[] = [];
  const clock = { nowMs: 0 };
  const stderr = new ChildStderr(
    () => clock.nowMs,
    (line) => lines.push(line),
  );
  const take = (text: string) => stderr.take(Buffer.from(text));
  return { lines, clock, stderr, take };
}

test("marked lines are the library's log with their level, anything else is not", () => {
  const { lines, take } = reader();
  take(`${MARK}0broken\n${MARK}1careful\nan own line\n${MARK}2ready\n${MARK}7odd\n`);
  expect(lines).toEqual([
    { level: "error", text: "broken", dropped: 0 },
    { level: "warn", text: "careful", dropped: 0 },
    { level: "info", text: "ready", dropped: 0 },
  ]);
});

test("a line may come in parts, and after one that has no end", () => {
  const { lines, take } = reader();
  for (const byte of `50 % done ${MARK}2grüße\n`) take(byte);
  expect(lines.map(({ text }) => text)).toEqual(["grüße"]);
});

test("control characters become blanks, and a long line is cut", () => {
  const { lines, take } = reader();
  take(`${MARK}2\x1b[31mred\r\u202e!\n${MARK}2${"x".repeat(1_000_000)}\n`);
  expect(lines[0]?.text).toBe("[31mred !");
  expect(lines[1]?.text.length).toBe(limits.libraryLineBytesMax - 2);
});

test("lines beyond so many a second are dropped, and counted with the next one", () => {
  const { lines, clock, take } = reader();
  const most = limits.libraryLinesPerSecondMax;
  take(`${MARK}2again\n`.repeat(most + 7));
  expect(lines).toHaveLength(most);
  clock.nowMs = 1000;
  take(`${MARK}2later\n${MARK}2and more\n`);
  expect(lines.slice(most)).toEqual([
    { level: "info", text: "later", dropped: 7 },
    { level: "info", text: "and more", dropped: 0 },
  ]);
});

test("the last words have the errors and warnings of the log, and what else was printed", () => {
  const { stderr, take } = reader();
  take(`${"x".repeat(limits.proverStderrBytesMax)}\n${MARK}0no key\npanicked at\tline 3\n`);
  take(`${MARK}2one more proof\n`);
  expect(stderr.lastWords).toMatch(/^x+ error: no key panicked at line 3$/);
});
