/**
 * Which of our own code has run, from V8's block coverage: an input that reaches a block for the
 * first time is worth keeping. Taking it costs milliseconds, so it is taken for many runs at once.
 */
import { Session } from "node:inspector";
import type { Profiler } from "node:inspector";

/** Compiled sources: what is under test, and not the libraries or the targets. */
const OURS = /\/dist\/(server|proto|client|tools\/fuzz\/planted)\//;

export class Coverage {
  private readonly session = new Session();
  /** By script, one byte for each character: 1 when it has run. */
  private readonly seen = new Map<string, Uint8Array>();

  /** Before the modules that count are loaded. */
  start(): void {
    this.session.connect();
    this.session.post("Profiler.enable");
    this.session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Whether what ran since the last call had never run before; `keep` remembers it. */
  isNew(keep: boolean): boolean {
    let isNew = false;
    for (const { url, functions } of this.take()) {
      if (!OURS.test(url)) continue;
      const ran = charactersRun(functions);
      const seen = this.seenOf(url, ran.length);
      for (let at = 0; at < ran.length; at++) {
        if (ran[at] !== 1 || seen[at] === 1) continue;
        isNew = true;
        if (!keep) break;
        seen[at] = 1;
      }
    }
    return isNew;
  }

  private take(): Profiler.ScriptCoverage[] {
    let taken: Profiler.ScriptCoverage[] = [];
    // A session of the same thread answers before `post` returns.
    this.session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error !== null) throw error;
      taken = result;
    });
    return taken;
  }

  private seenOf(url: string, length: number): Uint8Array {
    const before = this.seen.get(url);
    if (before !== undefined && before.length >= length) return before;
    const seen = new Uint8Array(length);
    if (before !== undefined) seen.set(before);
    this.seen.set(url, seen);
    return seen;
  }
}

/** Ranges come outer before inner, and an inner one has the last word on its characters. */
function charactersRun(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const ranges = functions.flatMap((each) => each.ranges);
  const ran = new Uint8Array(ranges.reduce((max, { endOffset }) => Math.max(max, endOffset), 0));
  for (const { startOffset, endOffset, count } of ranges) {
    ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return ran;
}
