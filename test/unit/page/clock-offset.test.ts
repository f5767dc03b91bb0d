/** The service's clock in the browser: what delays, drift and sleep do to it. */
import { expect, test } from "vitest";
import { ClockOffset } from "../../../page/model/clock-offset.js";

const DAY_MS = 86_400_000;

test("of answers that came late on their way, the least late counts", () => {
  const offset = new ClockOffset();
  expect(offset.ms).toBe(Infinity);
  for (const [at, delay] of [40, 3, 90, 12].entries()) {
    const nowMs = at * 1000;
    offset.take(nowMs + 500 + delay, nowMs);
  }
  expect(offset.ms).toBe(503);
});

test("a clock that is 30 ppm slow is followed for a week", () => {
  const offset = new ClockOffset();
  for (let browserMs = 0; browserMs <= 7 * DAY_MS; browserMs += 10_000) {
    offset.take(browserMs, browserMs * (1 - 30e-6));
  }
  expect(7 * DAY_MS - offset.ms).toBeCloseTo(7 * DAY_MS * (1 - 30e-6), -1);
});

test("a clock that stood still for an hour is followed after a minute, or at once after a reset", () => {
  const offset = new ClockOffset();
  offset.take(1000, 1000);
  const hourMs = 3_600_000;
  offset.take(hourMs + 2000, 2000);
  expect(offset.ms).toBe(hourMs);
  const other = new ClockOffset();
  other.take(1000, 1000);
  other.take(1500 + hourMs / 100, 1500);
  expect(other.ms).toBe(0);
  other.reset();
  other.take(2000 + hourMs, 2000);
  expect(other.ms).toBe(hourMs);
});
