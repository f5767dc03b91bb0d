/** What the page's tables say, in a real Chromium: only what has happened, and of devices that are there. */
import type { Browser } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { openBrowser } from "./chromium.js";
import { openFedPage } from "./fed-page.js";

const browser: Browser | undefined = await openBrowser();
const seen = test.skipIf(browser === undefined);
afterAll(() => browser?.close());

const NOW_MS = 60_000;
const lane = (deviceId: string, atMs: number, state: string) => ({
  atMs,
  lane: { deviceId, state: `DEVICE_STATE_${state}`, attempt: 1 },
});
const names = { serviceId: "here", run: "one", nowUnixMs: 1.7e12, complete: true };
const status = { state: "SERVICE_STATE_READY" };
/** The device works for all of the last minute, in the first second of which a snapshot came, and a skip. */
const minute = {
  ...{ ...names, status, nowMs: NOW_MS },
  activities: [
    lane("a", 0, "PROVING"),
    {
      atMs: 1000,
      accepted: {
        ...{ sessionId: "s", requestId: "r", nodeId: "beam", slot: "7" },
        ...{ receivedAtMs: 1000, deadlineAtMs: 1750, fenceAtMs: 9000 },
        groups: [{ votes: 4, rawSignatures: 4 }],
      },
    },
    { atMs: 1000, skipped: { nodeId: "beam", slot: "7", reason: "SKIP_REASON_IN_FLIGHT" } },
    lane("a", NOW_MS, "IDLE"),
  ],
  devices: [
    {
      status: { deviceId: "a", state: "DEVICE_STATE_IDLE" },
      learnedCosts: [{ kind: "PROOF_KIND_AGGREGATE", rawSignatures: 1, proveMs: 5 }],
    },
  ],
  nodes: [{ nodeId: "beam", usedMs: 5 }],
};

seen("the last minute ends now, and a device that goes is shown no more", async () => {
  if (browser === undefined) return;
  const { page, feed, complaints, close } = await openFedPage(browser);
  try {
    feed([minute]);
    await page.locator("#figures").getByText("last minute").waitFor();
    const figure = (name: string) => page.locator(`#figures .figure:has-text("${name}") b`);
    expect(await figure("votes in").textContent()).toBe("4");
    expect(await figure("devices busy").textContent()).toBe("100 %");
    await page.locator("#losses").getByText("skipped: in flight").waitFor();
    expect(await page.locator("#nodes td").nth(3).textContent()).toBe("4");
    await page.locator("#cost-legend").getByText("a", { exact: true }).waitFor();
    feed([{ ...minute, nowMs: NOW_MS + 1000, devices: [] }]);
    await page.locator("#devices").getByText("No device").waitFor();
    expect(await page.locator("#cost-legend li").count()).toBe(0);
    expect(complaints).toEqual([]);
  } finally {
    await close();
  }
});

seen("a device with costs at two rates has two curves, named in the legend", async () => {
  if (browser === undefined) return;
  const { page, feed, complaints, close } = await openFedPage(browser);
  const sizes = [1, 2, 4].map((rawSignatures) => ({ rawSignatures, proveMs: 5 * rawSignatures }));
  const low = sizes.map((each) => ({ ...each, kind: "PROOF_KIND_AGGREGATE" }));
  const learnedCosts = [...low, ...low.map((each) => ({ ...each, logInvRate: 2 }))];
  try {
    feed([{ ...minute, devices: [{ status: { deviceId: "a" }, learnedCosts }] }]);
    await page.locator("#cost-legend").getByText("a · log_inv_rate 2", { exact: true }).waitFor();
    const legend = await page.locator("#cost-legend li").allTextContents();
    expect(legend).toEqual(["a · log_inv_rate 0", "a · log_inv_rate 2"]);
    expect(await page.locator("#costs polyline.cost-line").count()).toBe(2);
    expect(complaints).toEqual([]);
  } finally {
    await close();
  }
});
