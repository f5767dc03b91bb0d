/** A table of the report as words: the terminal and the Markdown show the same. */
export interface Table {
  title: string;
  /** What the columns mean, where their heads do not say it. */
  note?: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}
