/**
 * Opens standard output or error so that a write to it never waits. `O_NONBLOCK` belongs to an open
 * file description, which this process may share with others: a command that exits would reset it.
 * So a pipe or a terminal is opened once more, for a description of this process's own.
 */
import { constants, fstatSync, openSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { isatty } from "node:tty";

const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;

/**
 * A descriptor of what `fd` (1 or 2) is open on. Writing to it throws `EAGAIN` instead of waiting
 * while nobody reads. Two cases still wait: a file on a network disk that hangs, and a terminal
 * that this user may not open and that does not control this process.
 */
export function openNonBlocking(fd: 1 | 2): number {
  const stat = fstatSync(fd);
  if (isatty(fd)) {
    const own = openAgain(`/proc/self/fd/${fd}`);
    if (own !== undefined) return own;
    // After `su` or `sudo` the terminal belongs to another user; everyone may open /dev/tty.
    return (stat.rdev === controllingTerminal() ? openAgain("/dev/tty") : undefined) ?? fd;
  }
  if (!stat.isFIFO() && !stat.isSocket()) return fd;
  return openAgain(`/proc/self/fd/${fd}`) ?? sharedNonBlocking(fd);
}

function openAgain(path: string): number | undefined {
  try {
    return openSync(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined; // a socket, a pipe of another user or without a reader, or no /proc
  }
}

/** Makes the shared description non-blocking. Node.js restores it when the process exits. */
function sharedNonBlocking(fd: number): number {
  try {
    new Socket({ fd, readable: false, writable: true }).unref();
  } catch {
    // Not a socket that Node.js knows: it stays as it is.
  }
  return fd;
}

/** The device number of the terminal that controls this process, 0 without one. */
function controllingTerminal(): number {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    // After the name, which may have spaces: state, parent, process group, session, terminal.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[4]);
  } catch {
    return 0;
  }
}
