/** Ties a node's process to the one that forked it: without it nobody would end the node. */

/** What is used of `process`. */
interface ForkedProcess {
  once(event: "disconnect", listener: () => void): unknown;
  off(event: "disconnect", listener: () => void): unknown;
  exit(code: number): void;
  disconnect(): void;
}

/** Ends this process when its parent has gone. Returns the function that leaves the parent in good order. */
export function endWithParent(own: ForkedProcess): () => void {
  const onOrphaned = () => own.exit(1);
  own.once("disconnect", onOrphaned);
  return () => {
    own.off("disconnect", onOrphaned);
    own.disconnect();
  };
}
