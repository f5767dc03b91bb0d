/** Keeps in the recording what the live page is shown, as a reader of the stream that is always there. */
import { limits } from "../limits.js";
import type { Recorder } from "../recording/recorder.js";
import type { ServiceNames, StreamActivityModules } from "./stream-activity.js";
import { activityOf } from "./stream-activity.js";

const pace = {
  everyMs: limits.recordedActivityEveryMs,
  idleMs: limits.recordedActivityIdleMs,
  costsEveryMs: limits.recordedCostsEveryMs,
};

/** Returns what ends it: that resolves once what has happened until then is written. */
export function recordActivity(
  names: ServiceNames,
  modules: StreamActivityModules & { recorder: Pick<Recorder, "seen" | "isOpen"> },
): () => Promise<void> {
  const { recorder } = modules;
  const ended = new AbortController();
  const never = new AbortController().signal;
  const reader = { signal: never, draining: ended.signal, revoked: never };
  const read = async () => {
    for await (const answer of activityOf({ noFollow: false, pace }, reader, names, modules)) {
      await recorder.seen(answer);
      if (!recorder.isOpen) return;
    }
  };
  const reading = read();
  return async () => {
    ended.abort();
    await reading;
  };
}
