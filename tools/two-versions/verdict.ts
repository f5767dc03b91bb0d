/** What is said of a round trip, and whether it is well: only with a proof of every group that was asked. Pure. */
export interface Verdict {
  /** Groups asked and proved, and how each ended, as cells of a table. */
  row: string;
  isGood: boolean;
}

/**
 * @param asked groups of all snapshots that were due, also of those that were skipped
 * @param endings of groups, and of snapshots that were skipped
 */
export function verdictOf(asked: number, endings: readonly string[]): Verdict {
  const proved = endings.filter((ending) => ending.startsWith("proved")).length;
  const row = `| ${asked} | ${proved} | ${endings.join(", ")} |`;
  return { row, isGood: asked > 0 && proved === asked };
}
