import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../server/clock.js";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const DAY_MS = 24 * 3_600_000;

test.each([20, 24.9, 30, 60, 365])("a timer of %d days fires then, and not at once", (days) => {
  let fired = 0;
  systemClock.at(systemClock.nowMs() + days * DAY_MS, () => fired++);
  vi.advanceTimersByTime(days * DAY_MS - 10);
  expect(fired).toBe(0);
  vi.advanceTimersByTime(20);
  expect(fired).toBe(1);
});

test("a long timer is cancelled also after it was set anew", () => {
  let fired = 0;
  const cancel = systemClock.at(systemClock.nowMs() + 30 * DAY_MS, () => fired++);
  vi.advanceTimersByTime(26 * DAY_MS);
  cancel();
  vi.advanceTimersByTime(30 * DAY_MS);
  expect(fired).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a timer without an end never fires", () => {
  let fired = 0;
  const cancel = systemClock.at(Infinity, () => fired++);
  vi.advanceTimersByTime(100 * DAY_MS);
  expect(fired).toBe(0);
  cancel();
});
