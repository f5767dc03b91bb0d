/**
 * A thousand groups a slot on the live page, in a real Chromium: what is drawn is bounded, and all is
 * counted. With FRAMES=1 it also prints how long the page takes for a frame.
 */
import type { Browser } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { openBrowser } from "./chromium.js";
import { openFedPage } from "./fed-page.js";

const browser: Browser | undefined = await openBrowser();
const FRAMES = process.env["FRAMES"] === "1";
afterAll(() => browser?.close());

const [SLOTS, GROUPS, SLOT_MS, LANES] = [5, 1000, 4000, 4];
const PER_ANSWER = 512;

/** Everything of the slot's groups, which are proved one after another on each of the lanes. */
function activitiesOf(slot: number): object[] {
  const fromMs = slot * SLOT_MS;
  const groups = Array.from({ length: GROUPS }, (_, at) => {
    const [sessionId, deviceId] = [`${slot}-${at}`, `cpu-${at % LANES}`];
    const attempt = slot * GROUPS + at + 1;
    const startMs = fromMs + 100 + Math.floor(at / LANES) * 12;
    const times = { receivedAtMs: fromMs, deadlineAtMs: fromMs + 3000, fenceAtMs: fromMs + 8000 };
    const node = { nodeId: `node-${at % 200}`, slot: `${slot}`, requestId: sessionId };
    const lane = (state: string, proof?: object) => ({ deviceId, state, attempt, proof });
    return [
      { atMs: fromMs, accepted: { sessionId, ...node, ...times, groups: [{ votes: 4 }] } },
      { atMs: startMs, started: { sessionId, attempt, deviceId } },
      { atMs: startMs, lane: lane("DEVICE_STATE_PROVING", { rawSignatures: 4 }) },
      {
        atMs: startMs + 10,
        ended: { sessionId, status: "OUTCOME_STATUS_PROVED", votes: { proved: [4] }, proveMs: 10 },
      },
      { atMs: startMs + 10, lane: { deviceId, state: "DEVICE_STATE_IDLE" } },
    ];
  });
  return groups.flat().sort((a, b) => a.atMs - b.atMs);
}

function answers(): object[] {
  const activities = Array.from({ length: SLOTS }, (_, slot) => activitiesOf(slot)).flat();
  const nowMs = SLOTS * SLOT_MS;
  const names = { serviceId: "busy", run: "one", nowMs, nowUnixMs: 1.7e12 };
  const count = Math.ceil(activities.length / PER_ANSWER);
  const state = {
    status: { state: "SERVICE_STATE_READY" },
    devices: Array.from({ length: LANES }, (_, at) => ({ status: { deviceId: `cpu-${at}` } })),
  };
  return Array.from({ length: count }, (_, at) => ({
    ...names,
    activities: activities.slice(at * PER_ANSWER, (at + 1) * PER_ANSWER),
    ...(at === count - 1 ? state : {}),
  }));
}

test.skipIf(browser === undefined)(
  "a thousand groups a slot are all counted, and drawn with a bounded number of elements",
  async () => {
    if (browser === undefined) return;
    const { page, feed, complaints, close } = await openFedPage(browser);
    feed(answers());
    await page
      .locator("#figures")
      .getByText(String(SLOTS * GROUPS * 4), { exact: true })
      .first()
      .waitFor();
    await page
      .locator("#chart")
      .getByText(`and ${SLOTS * GROUPS - 240} more groups`)
      .waitFor();
    await page.locator("#nodes").getByText("and 136 more nodes").waitFor();
    expect(await page.locator("#chart .bar.several").count()).toBeGreaterThan(0);
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    expect(elements).toBeLessThan(12_000);
    await page.locator("#timeline").focus();
    await page.keyboard.press("ArrowDown");
    await page.locator("#tooltip p").first().waitFor();
    if (FRAMES) console.info(`${elements} elements; ${await page.evaluate(framesText, 10_000)}`);
    expect(complaints).toEqual([]);
    await close();
  },
);

/** Runs in the page: the times between its frames. */
async function framesText(forMs: number): Promise<string> {
  const times: number[] = [];
  const endMs = performance.now() + forMs;
  let lastMs = performance.now();
  while (lastMs < endMs) {
    const nowMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    times.push(nowMs - lastMs);
    lastMs = nowMs;
  }
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    `${(times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1)} ms`;
  return `${times.length} frames: median ${at(0.5)}, 98th percentile ${at(0.98)}, longest ${at(1)}`;
}
