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
    private readonly terminal: Pick<Terminal, "err" | "isErrTty">,
  ) {
    const startedMs = performance.now();
    const { isErrTty } = terminal;
    this.#timer = setInterval(
      () => {
        const line = text(performance.now() - startedMs);
        terminal.err(isErrTty ? `${CLEAR_LINE}${line}` : `${line}\n`);
      },
      isErrTty ? REWRITE_MS : LINE_MS,
    );
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
