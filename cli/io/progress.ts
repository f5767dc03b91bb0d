/** A progress line on stderr: rewritten in place on a terminal, else printed every 5 s. */
import type { Terminal } from "./command.js";

const REWRITE_MS = 250;
const LINE_MS = 5000;
const CLEAR_LINE = "\r\u001b[K";

export class Progress {
  readonly #timer: NodeJS.Timeout;

  /** @param text returns the line to show, given the milliseconds since the start */
  constructor(
    text: (elapsedMs: number) => string,
    private readonly terminal: Pick<Terminal, "err" | "isErrTty" | "errColumns">,
  ) {
    const startedMs = performance.now();
    const { isErrTty } = terminal;
    this.#timer = setInterval(
      () => {
        const line = text(performance.now() - startedMs);
        terminal.err(isErrTty ? `${CLEAR_LINE}${this.cut(line)}` : `${line}\n`);
      },
      isErrTty ? REWRITE_MS : LINE_MS,
    );
  }

  /** A line that wraps would leave its first rows behind, as only the last is cleared. */
  private cut(line: string): string {
    return line.slice(0, (this.terminal.errColumns?.() ?? Infinity) - 1);
  }

  /** Clears the line before other output; it comes back within 250 ms. */
  clear(): void {
    if (this.terminal.isErrTty) this.terminal.err(CLEAR_LINE);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}
