/**
 * Opens standard error so that a write to it never waits. `O_NONBLOCK` belongs to an open file
 * description, which the service may share with others: a command that exits would reset it. So a
 * pipe or a terminal is opened once more, for a description of the service's own.
 */
import { constants, fstatSync, openSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { isatty } from "node:tty";

const STDERR_FD = 2;
const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;

/**
 * A descriptor of what standard error is open on. Writing to it throws `EAGAIN` instead of waiting
 * while nobody reads. Two cases still wait: a file on a network disk that hangs, and a terminal
 * that this user may not open and that does not control this process.
 */
export function openStderr(): number {
  const stat = fstatSync(STDERR_FD);
  if (isatty(STDERR_FD)) {
    const own = openAgain("/proc/self/fd/2");
    if (own !== undefined) return own;
    // After `su` or `sudo` the terminal belongs to another user; everyone may open /dev/tty.
    return (stat.rdev === controllingTerminal() ? openAgain("/dev/tty") : undefined) ?? STDERR_FD;
  }
  if (!stat.isFIFO() && !stat.isSocket()) return STDERR_FD;
  return openAgain("/proc/self/fd/2") ?? sharedNonBlocking();
}

function openAgain(path: string): number | undefined {
  try {
    return openSync(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined; // a socket, a pipe of another user or without a reader, or no /proc
  }
}

/** Makes the shared description non-blocking. Node.js restores it when the process exits. */
function sharedNonBlocking(): number {
  try {
    new Socket({ fd: STDERR_FD, readable: false, writable: true }).unref();
  } catch {
    // Not a socket that Node.js knows: it stays as it is.
  }
  return STDERR_FD;
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
