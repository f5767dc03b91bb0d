/** How a command ends, for scripts; `--help` of each command lists those that it uses. */
export const exitCodes = {
  ok: 0,
  /** The service could not be reached, refused the request, or lost it: a retry may help. */
  error: 1,
  /** A flag, a setting or an input file is wrong: nothing was sent. */
  usage: 2,
  /** Answered, but not every group is proved, or not every proof is valid. */
  notAll: 3,
  /** The snapshot was skipped. */
  skipped: 4,
} as const;
