/** Structured logs, one JSON object a line on standard error. */
import { destination, pino } from "pino";

export type Logger = Pick<ReturnType<typeof pino>, "info" | "warn" | "error">;

export function createLog(level: string): Logger {
  return pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    // Synchronous: at exit an asynchronous one writes what is buffered before what is on its way.
    destination({ dest: 2, sync: true }),
  );
}
