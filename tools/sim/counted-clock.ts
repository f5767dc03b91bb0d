/** The service's own view of time: its timers are counted, so that a timer left behind is seen. */
import type { Clock } from "../../server/clock.js";

export function countedClock(clock: Clock, timers: Set<object>): Clock {
  return {
    nowMs: () => clock.nowMs(),
    unixMs: () => clock.unixMs(),
    at(instantMs, callback) {
      const timer = {};
      timers.add(timer);
      const cancel = clock.at(instantMs, () => {
        timers.delete(timer);
        callback();
      });
      return () => {
        timers.delete(timer);
        cancel();
      };
    },
  };
}
