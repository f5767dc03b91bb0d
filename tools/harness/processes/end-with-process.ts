/**
 * Ends child processes when this process exits. One listener for all of them: a fleet has more
 * children than Node.js expects listeners of one event.
 */
const ends = new Set<() => void>();

/** Calls `end` when this process exits, unless the returned function is called before. */
export function endWithProcess(end: () => void): () => void {
  if (ends.size === 0) process.once("exit", endAll);
  ends.add(end);
  return () => {
    ends.delete(end);
    if (ends.size === 0) process.off("exit", endAll);
  };
}

function endAll(): void {
  for (const end of ends) end();
}
