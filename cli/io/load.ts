/** Loads parts of the program when they are needed, and says in words why that failed. */

/** Open files with which the whole program loads on every supported Node.js, with room to spare. */
const OPEN_FILES = 256;

/** Resolves with what `load` imports. Rejects with an `Error` that says what to do. */
export async function loaded<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const [why = ""] = text.split("\n");
    const reason =
      code === "EMFILE" || code === "ENFILE"
        ? "too many files are open; raise the limit to " +
          `${OPEN_FILES} or more with 'ulimit -n' or LimitNOFILE=`
        : `${why}; build it again with 'make'`;
    throw new Error(`cannot load the program: ${reason}`, { cause });
  }
}
