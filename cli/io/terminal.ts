/** Where a command reads and prints: the process's own streams, or a test's. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person sees what goes to `err`, and a line there may be rewritten. */
  isErrTty: boolean;
  /** All of standard input. */
  readStdin(): Promise<Uint8Array>;
}
