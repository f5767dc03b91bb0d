/**
 * A recording in the live page, in a real Chromium: a service records, ends, and its run is played. With
 * SCREENSHOTS=1 it works longer, and writes the picture of docs/operate/recording.md.
 */
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RecordedPage } from "../../cli/replay/recorded-page.js";
import { systemClock } from "../../server/clock.js";
import { createLog } from "../../server/log/log.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { Recorder } from "../../server/recording/recorder.js";
import { listenTestService } from "../helpers/start-service.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { openBrowser } from "./chromium.js";
import { Nodes } from "./nodes.js";

const browser: Browser | undefined = await openBrowser();
const SHOTS = process.env["SCREENSHOTS"] === "1";
const [SLOTS, SLOT_MS] = SHOTS ? [9, 2600] : [4, 700];
/** Errors of the page. */
const complaints: string[] = [];

let recorded: RecordedPage;
let page: Page;

/** A recording of shapes, of a whole run. */
async function record(folder: string): Promise<void> {
  const modules = { clock: systemClock, log: createLog("silent") };
  const who = { content: "shapes", service: "test", run: "00000000000000aa", devices: 1 } as const;
  const recorder = new Recorder({ folder, bytesMax: 1e8, ...who }, modules);
  const proveMs = ({ raws }: { raws: number }) => (SHOTS ? 200 + 28 * raws : 40 + 2 * raws);
  const prover = () => startFakeProver({ accepts: "any", proveMs, sleep: (ms) => delay(ms) });
  const devices = [{ id: "cpu-a", cores: "0-3" }];
  const service = await listenTestService(prover, { devices, drainMs: 1000 }, { recorder });
  await service.ready();
  const nodes = new Nodes(service.addresses[0] ?? "");
  try {
    for (let slot = 101; slot < 101 + SLOTS; slot++) {
      const limits = { deadlineMs: SLOT_MS * 0.5, fenceMs: SLOT_MS * 1.4 };
      await nodes.submit({
        node: "beam-1",
        slot,
        groups: [
          [16, 0],
          [24, 0],
        ],
        ...limits,
      });
      await nodes.submit({ node: "beam-2", slot, groups: [[32, 0]], ...limits });
      await delay(SLOT_MS);
    }
  } finally {
    nodes.close();
    await service.close();
  }
}

beforeAll(async () => {
  if (browser === undefined) return;
  const folder = join(temporaryFolder(), "recording");
  await record(folder);
  recorded = await RecordedPage.open(folder, "127.0.0.1:0");
  page = await browser.newPage({ viewport: { width: 1360, height: 1260 } });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(`http://${recorded.address}/`);
  await page.locator("#player").waitFor();
}, 60_000);
afterAll(async () => {
  if (browser === undefined) return;
  await browser.close();
  await recorded.close();
});

const seen = test.skipIf(browser === undefined);
const text = (selector: string) => page.locator(selector).textContent();
const settled = (what: () => Promise<boolean>) => expect.poll(what, { timeout: 5000 }).toBe(true);

seen("plays by itself, and pauses and goes on by the space bar", async () => {
  expect(await text("#state")).toBe("recording");
  expect(await text("#pause")).toBe("Pause");
  await page.keyboard.press(" ");
  expect(await text("#pause")).toBe("Play");
  const position = await text("#position-text");
  await delay(1200);
  expect(await text("#position-text")).toBe(position);
});

seen("jumps to a slot, and shows what had happened by then", async () => {
  await page.locator("#slot").fill("103");
  await page.keyboard.press("Enter");
  await settled(async () => (await text("#position-text"))?.includes("slot 103") ?? false);
  const slots = await page.locator("#chart text.slot").allTextContents();
  expect(slots).toContain("slot 103");
  expect(slots).not.toContain("slot 104");
  await page.locator("#slot").fill("999");
  await page.keyboard.press("Enter");
  const has = `which has slots 101 to ${100 + SLOTS}`;
  expect(await text("#player-note")).toBe(`slot 999 is not in the recording, ${has}`);
  await page.locator("#slot").blur();
  await page.keyboard.press("]");
  await settled(async () => (await text("#position-text"))?.includes("slot 104") ?? false);
});

seen(
  "changes its speed by key, and ends at the end with every device, node and curve",
  async () => {
    await page.keyboard.press("Home");
    await page.keyboard.press(".");
    await page.keyboard.press(".");
    expect(await text("#speeds [aria-pressed=true]")).toBe("16×");
    await page.keyboard.press(" ");
    await settled(async () => (await text("#pause")) === "Play");
    expect(await text("#position-text")).toContain(`slot ${100 + SLOTS}`);
    for (const name of ["cpu-a", "cores 0-3"])
      await page.locator("#devices").getByText(name).waitFor();
    for (const name of ["beam-1", "beam-2"]) await page.locator("#nodes").getByText(name).waitFor();
    expect(await page.locator("#chart .bar.proved").count()).toBeGreaterThan(SLOTS);
    expect(await page.locator("#costs .cost-band").count()).toBe(1);
    if (SHOTS)
      await page.screenshot({ path: join(process.cwd(), "docs/figures/recorded-page.png") });
  },
);

seen("goes to any instant by the slider, also by its arrow keys", async () => {
  const slider = page.locator("#position");
  await slider.focus();
  await page.keyboard.press("Home");
  await settled(async () => (await page.locator("#chart .bar.proved").count()) === 0);
  expect(await slider.getAttribute("aria-valuetext")).toMatch(/^\d\d:\d\d:\d\d of /);
  await page.keyboard.press("End");
  await settled(async () => (await page.locator("#chart .bar.proved").count()) > SLOTS);
  expect(complaints).toEqual([]);
});

seen(
  "serves the page to this machine's own names only, and reads no request but these",
  async () => {
    const headers = { host: "evil.example" };
    const [host = "", port = ""] = recorded.address.split(":");
    const status = await new Promise((resolve, reject) => {
      get({ host, port, headers }, ({ statusCode }) => resolve(statusCode)).on("error", reject);
    });
    expect(status).toBe(403);
    const other = await fetch(`http://${recorded.address}/metrics`);
    expect(other.status).toBe(404);
  },
);
