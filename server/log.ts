/** Structured logs: one JSON object per line on standard error. */
import { destination, pino } from "pino";

export type Logger = Pick<ReturnType<typeof pino>, "info" | "warn" | "error">;

export function createLog(level: string): Logger {
  return pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    // Synchronous: an asynchronous destination would write the last lines before exit out of order.
    destination({ dest: 2, sync: true }),
  );
}
