"""Runs a command on a terminal of its own. Standard input goes to the terminal as if typed, what the
terminal shows goes to standard output, and the end of standard input closes the terminal. Prints
on standard error the command's process id first, "typed" after each input, and "ended" with the
exit status last."""

import os
import pty
import select
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
print(pid, file=sys.stderr, flush=True)
watched = [0, terminal]
while terminal in watched:
    readable, _, _ = select.select(watched, [], [])
    if 0 in readable:
        typed = os.read(0, 4096)
        if typed == b"":
            break
        os.write(terminal, typed)
        print("typed", file=sys.stderr, flush=True)
    if terminal in readable:
        try:
            shown = os.read(terminal, 4096)
        except OSError:
            shown = b""
        if shown == b"":
            break
        os.write(1, shown)
os.close(terminal)
_, status = os.waitpid(pid, 0)
print("ended", os.waitstatus_to_exitcode(status), file=sys.stderr, flush=True)
