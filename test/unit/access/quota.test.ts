/** Quotas: which one a snapshot exceeds, and the message for it. */
import { expect, test } from "vitest";
import type { UsedNow } from "../../../server/access/quota.js";
import type { Quota } from "../../../server/work/principal.js";
import { MINUTE_HALF_LIFE_MS, Usage } from "../../../server/schedule/usage.js";
import { brokenQuota } from "../../../server/access/quota.js";

const usage: UsedNow = { sessionsInFlight: 2, heldBytes: 1000, proverSecondsPerMinute: 12.34 };
const broken = (quota: Quota, bytes = 100) => brokenQuota({ name: "node-1", quota }, usage, bytes);

test("without quotas no use exceeds one", () => {
  expect(broken({})).toBeUndefined();
});

test("use up to a quota is allowed, and more exceeds it by name", () => {
  expect(broken({ sessionsInFlight: 3, heldBytes: 1100, proverSecondsPerMinute: 12.4 })).toEqual(
    undefined,
  );
  expect(broken({ sessionsInFlight: 2 })).toEqual({
    quota: "sessionsInFlight",
    detail: "quota sessionsInFlight of principal node-1 is 2, and 2 sessions are in flight",
  });
  expect(broken({ heldBytes: 1099 })).toEqual({
    quota: "heldBytes",
    detail:
      "quota heldBytes of principal node-1 is 1099, and 1000 bytes are held; this snapshot needs 100",
  });
  expect(broken({ proverSecondsPerMinute: 12 })).toEqual({
    quota: "proverSecondsPerMinute",
    detail: "quota proverSecondsPerMinute of principal node-1 is 12, and 12.3 s were used",
  });
});

test("steady use reads as its amount per minute, and fades when it ends", () => {
  const usage = new Usage(MINUTE_HALF_LIFE_MS);
  const seconds = (atMs: number) => usage.of("node-1", atMs) / 1000;
  // Half a second of every second, for ten minutes.
  for (let atMs = 0; atMs < 600_000; atMs += 1000) usage.charge("node-1", 500, atMs);
  expect(seconds(600_000)).toBeCloseTo(30, 0);
  expect(seconds(660_000)).toBeCloseTo(30 / Math.E, 0);
});
