/**
 * The system's clock in the hands of a test: `Date` runs on and jumps on request, as it does when
 * an operator or NTP sets it. Timers and the monotonic clock stay real, and so do their sockets.
 */
import { vi } from "vitest";

const HOUR_MS = 3_600_000;

/** Both ways that a clock may be wrong by an hour. */
export const jumps = [
  ["forwards", HOUR_MS],
  ["backwards", -HOUR_MS],
] as const;

export function holdWallClock(): void {
  vi.useFakeTimers({ toFake: ["Date"], shouldAdvanceTime: true });
}

export function jumpWallClock(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

export function releaseWallClock(): void {
  vi.useRealTimers();
}
