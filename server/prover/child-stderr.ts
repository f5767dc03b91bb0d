/**
 * What a prover process writes on standard error. Lines of its library's log, which the addon marks
 * there (`log_line` in `native/addon/library.cc`), are passed on, so many a second; the end of all
 * is kept for the report of the process's end.
 */
import { limits } from "../limits.js";
import { printable } from "../printable.js";

/** Stands before a line of the library's log, with the level's digit after it. */
const MARK = "\x1e";
const NEWLINE = 0x0a;
/** The levels of `lp_options.log`, by number. */
const LEVELS = ["error", "warn", "info"] as const;
/** Lines of information, which are in the log already, and the marks of all others. */
const INFORMATION = new RegExp(`${MARK}2[^\\n]*`, "g");
const MARKED = new RegExp(`${MARK}([01])`, "g");

/** A line of a library's log. */
export interface LibraryLine {
  level: (typeof LEVELS)[number];
  /** Without control characters. */
  text: string;
  /** Number of lines before it that were dropped, as there were too many in a second. */
  dropped: number;
}

export class ChildStderr {
  private tail = Buffer.alloc(0);
  /** The line that has not ended yet, cut off where it is too long. */
  private line = Buffer.alloc(0);
  /** Lines passed on in the second that began at `sinceMs`, and those dropped since the last. */
  private passed = { sinceMs: -Infinity, count: 0, dropped: 0 };

  /** @param nowMs monotonic clock in milliseconds */
  constructor(
    private readonly nowMs: () => number,
    private readonly onLine: (line: LibraryLine) => void,
  ) {}

  /** Takes the next bytes. */
  take(chunk: Buffer): void {
    this.tail = Buffer.concat([this.tail, chunk]).subarray(-limits.proverStderrBytesMax);
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.extend(chunk.subarray(from, end));
      this.read(this.line.toString("utf8"));
      this.line = Buffer.alloc(0);
      from = end + 1;
    }
    this.extend(chunk.subarray(from));
  }

  /** The end of what it wrote but information, in one line without control characters. */
  get lastWords(): string {
    const levelOf = (_mark: string, digit: string) => `${LEVELS[Number(digit)] ?? ""}: `;
    const tail = this.tail.toString("utf8").replace(INFORMATION, "");
    return printable(tail.replace(MARKED, levelOf)).trim();
  }

  private extend(part: Buffer): void {
    const room = limits.libraryLineBytesMax - this.line.length;
    if (room > 0 && part.length > 0) this.line = Buffer.concat([this.line, part.subarray(0, room)]);
  }

  private read(line: string): void {
    const at = line.lastIndexOf(MARK);
    const level = at < 0 ? undefined : LEVELS[Number(line.at(at + 1))];
    if (level === undefined) return;
    const nowMs = this.nowMs();
    if (nowMs - this.passed.sinceMs >= 1000) {
      this.passed = { ...this.passed, sinceMs: nowMs, count: 0 };
    }
    if (this.passed.count >= limits.libraryLinesPerSecondMax) {
      this.passed.dropped++;
      return;
    }
    const { dropped } = this.passed;
    this.passed = { ...this.passed, count: this.passed.count + 1, dropped: 0 };
    this.onLine({ level, text: printable(line.slice(at + 2)).trim(), dropped });
  }
}
