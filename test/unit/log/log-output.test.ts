/** The log's output: it never waits, keeps the latest lines, and says how many it dropped. */
import { expect, test } from "vitest";
import { LogOutput } from "../../../server/log/log-output.js";
import { limits } from "../../../server/limits.js";

const LINE_BYTES = 1024;
const line = (number: number) => `${String(number).padEnd(LINE_BYTES - 1, ".")}\n`;

/** An output to a pipe that has room for `room` bytes, or fails with `code`. */
function outputTo(pipe: { room: number; code?: string }) {
  let text = "";
  let retry: (() => void) | undefined;
  const output = new LogOutput({
    write: (bytes) => {
      const { code } = pipe;
      if (code !== undefined || pipe.room === 0) {
        throw Object.assign(new Error("cannot write"), { code: code ?? "EAGAIN" });
      }
      const count = Math.min(pipe.room, bytes.length);
      pipe.room -= count;
      text += Buffer.from(bytes.subarray(0, count)).toString();
      return count;
    },
    droppedLine: (count) => `dropped ${count}\n`,
    later: (_ms, callback) => (retry = callback),
  });
  return {
    output,
    text: () => text,
    lines: () =>
      text
        .split("\n")
        .slice(0, -1)
        .map((each) => each.replace(/\.+$/, "")),
    fireRetry: () => retry?.(),
  };
}

test.each(["EAGAIN", "ENOSPC", "EPIPE", "EIO", "EBADF"])(
  "%s: lines wait, and are written in order once writing works again",
  (code) => {
    const pipe: { room: number; code?: string } = { room: Infinity, code };
    const { output, lines, fireRetry } = outputTo(pipe);
    output.write(line(1));
    output.write(line(2));
    fireRetry();
    delete pipe.code;
    output.write(line(3));
    expect(lines()).toEqual([]);
    fireRetry();
    output.write(line(4));
    expect(lines()).toEqual(["1", "2", "3", "4"]);
  },
);

test("an empty text holds up nothing", () => {
  const { output, text } = outputTo({ room: Infinity });
  output.write("");
  output.write("next\n");
  expect(text()).toBe("next\n");
});

test("older lines are dropped and counted, and one line says so in their place", () => {
  const pipe = { room: 2.5 * LINE_BYTES };
  const { output, text, lines, fireRetry } = outputTo(pipe);
  let counted = 0;
  const kept = limits.logBufferBytesMax / LINE_BYTES;
  for (let at = 1; at <= 10 + kept; at++) {
    output.write(line(at));
    // Counted from the start, whenever the counter comes.
    if (at === 5 + kept) output.onDropped((count) => (counted += count));
  }
  expect(counted).toBe(8);
  pipe.room = Infinity;
  fireRetry();
  // The third was half written: it is completed, and takes a place among those that are kept.
  expect(lines().slice(0, 5)).toEqual(["1", "2", "3", "dropped 8", "12"]);
  expect(lines().at(-1)).toBe(String(10 + kept));
  expect(text().length).toBe((2 + kept) * LINE_BYTES + "dropped 8\n".length);
});

test("a report of dropped lines that is cut in the middle is completed first", () => {
  const pipe = { room: 0 };
  const { output, text, fireRetry } = outputTo(pipe);
  for (let at = 0; at <= limits.logBufferBytesMax / LINE_BYTES; at++) output.write(line(at));
  pipe.room = 4;
  fireRetry();
  output.write(line(0));
  expect(text()).toBe("drop");
  pipe.room = Infinity;
  fireRetry();
  expect(text()).toMatch(/^dropped 1\ndropped 2\n3\./);
});

test("a line larger than all that may be kept is dropped, not kept", () => {
  const pipe = { room: 0 };
  const { output, lines, fireRetry } = outputTo(pipe);
  output.write(`${"x".repeat(limits.logBufferBytesMax)}\n`);
  output.write("small\n");
  pipe.room = Infinity;
  fireRetry();
  expect(lines()).toEqual(["dropped 1", "small"]);
});

test("the close waits for a slow reader up to its bound, and not at all for one that is gone", () => {
  const pipe: { room: number; code?: string } = { room: 0 };
  const { output } = outputTo(pipe);
  output.write(line(1));
  const startedMs = performance.now();
  output.close(40);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(35);
  pipe.code = "EPIPE";
  const goneMs = performance.now();
  output.close(60_000);
  expect(performance.now() - goneMs).toBeLessThan(1000);
});
