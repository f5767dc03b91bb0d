/** A pipe that nobody reads. */
import { execFileSync } from "node:child_process";
import { constants, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";

const { O_RDWR, O_NONBLOCK } = constants;

/** A named pipe in `folder`, open at both ends, which has no more room. */
export function fullPipe(folder: string): { path: string; fd: number } {
  const path = join(folder, "pipe");
  execFileSync("bash", ["-c", `mkfifo ${path}`]);
  const fd = openSync(path, O_RDWR | O_NONBLOCK);
  for (const filler of ["x".repeat(4096), "x"]) {
    try {
      for (;;) writeSync(fd, filler);
    } catch {
      // it is full
    }
  }
  return { path, fd };
}

/** What can be read from such a pipe now, without what has filled it. */
export function drainPipe(fd: number): string {
  const buffer = Buffer.alloc(4096);
  let text = "";
  for (;;) {
    try {
      text += buffer.subarray(0, readSync(fd, buffer)).toString();
    } catch {
      return text.replace(/^x+/, "");
    }
  }
}
