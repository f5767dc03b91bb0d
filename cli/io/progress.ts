/** Tells on stderr that work goes on: one line rewritten on a terminal, else a line now and then. */
import type { Terminal } from "./terminal.js";

const REWRITE_MS = 250;
const LINE_MS = 5000;
const CLEAR_LINE = "\r\u001b[K";

export class Progress {
  readonly #timer: NodeJS.Timeout;

  /** @param text what to say now, given the time since the start. */
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

  /** Makes room for other output; the line comes back by itself. */
  clear(): void {
    if (this.terminal.isErrTty) this.terminal.err(CLEAR_LINE);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}
