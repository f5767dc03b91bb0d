/** The terminal as a screen that a command redraws, with the keys that are pressed. */
import type { ReadStream, WriteStream } from "node:tty";

export interface Screen {
  size(): { columns: number; rows: number };
  /** Calls `pressed` for each key, without Enter, until the returned function is called. */
  onKey(pressed: (key: string) => void): () => void;
}

const CONTROL_C = "\u0003";

/** Undefined when the output or the input is no terminal. */
export function screenOf(output: WriteStream, input: ReadStream): Screen | undefined {
  if (!output.isTTY || !input.isTTY) return undefined;
  return {
    size: () => ({ columns: output.columns, rows: output.rows }),
    onKey(pressed) {
      const take = (bytes: Buffer) => {
        const key = bytes.toString("utf8");
        pressed(key === CONTROL_C ? "q" : key);
      };
      input.setRawMode(true);
      input.on("data", take);
      input.resume();
      return () => {
        input.off("data", take);
        input.setRawMode(false);
        input.pause();
      };
    },
  };
}
