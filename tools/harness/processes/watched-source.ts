/** A schedule's queue with each attempt seen before its dispatcher starts it, for simulations. */
import type { AttemptSource, NextAttempt } from "../../../server/schedule/dispatcher.js";
import type { Schedule } from "../../../server/schedule/schedule.js";

/** Returns the source of attempts that calls `taken` for each; for `SchedulesModules.sourceOf`. */
export function watchedSource(taken: (attempt: NextAttempt) => void) {
  return ({ queue }: Schedule): AttemptSource => ({
    get hasWaiting() {
      return queue.hasWaiting;
    },
    adopt: (offered) => queue.adopt(offered),
    next: (...lane) => {
      const attempt = queue.next(...lane);
      if (attempt !== undefined) taken(attempt);
      return attempt;
    },
    offered: () => queue.offered(),
  });
}
