/**
 * The live page in a real Chromium, against a whole service with fake provers. Skipped where no Chromium
 * is. With SCREENSHOTS=1 it works longer, and writes the pictures of docs/operate/live-page.md.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { policyFile, tokenOf } from "../rpc/access/access-matrix.js";
import { startTestService } from "../helpers/start-service.js";
import { openBrowser } from "./chromium.js";
import { Nodes } from "./nodes.js";

const browser: Browser | undefined = await openBrowser();
const SHOTS = process.env["SCREENSHOTS"] === "1";
const FIGURES = join(process.cwd(), "docs/figures");

let service: Service;
let nodes: Nodes;
let page: Page;
/** What the browser asked for, and what the page complained about. */
let asked: string[];
let complaints: string[];

/** Long enough in the pictures that waiting, proving and missing are seen. */
const proveMs = ({ raws }: { raws: number }) => (SHOTS ? 200 + 28 * raws : 60 + 6 * raws);
const prover = () =>
  startFakeProver({
    accepts: "any",
    proveMs,
    sleep: (ms) => delay(ms),
  });
const devices = [
  { id: "cpu-a", cores: "0-3" },
  { id: "cpu-b", cores: "4-7" },
];

async function open(settings: Record<string, unknown> = {}, scheme: "light" | "dark" = "light") {
  service = await startTestService(prover, { devices, drainMs: 1, ...settings });
  nodes = new Nodes(service.addresses[0] ?? "");
  if (browser === undefined) throw new Error("no browser");
  page = await browser.newPage({ colorScheme: scheme, viewport: { width: 1360, height: 1420 } });
  asked = [];
  complaints = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`http://${service.operatorAddress ?? ""}/`);
}

afterEach(async () => {
  if (browser === undefined) return;
  await page.close();
  nodes.close();
  await service.close();
});
afterAll(() => browser?.close());

/** Slots of four nodes, in which most is proved, some shed, some late and some never started. */
async function work(slots: number, slotMs: number): Promise<void> {
  for (let slot = 101; slot < 101 + slots; slot++) {
    const limits = { deadlineMs: slotMs * 0.5, fenceMs: slotMs * 1.4 };
    await nodes.submit({
      node: "beam-1",
      slot,
      groups: [
        [16, 0],
        [32, 0],
      ],
      ...limits,
    });
    await nodes.submit({ node: "beam-2", slot, groups: [[24, 0]], ...limits });
    if (slot % 2 === 0) await nodes.submit({ node: "beam-2", slot, groups: [[8, 0]], ...limits });
    await delay(slotMs * 0.2);
    await nodes.submit({ node: "beam-3", slot, groups: [[48, 0]], ...limits });
    if (slot % 3 === 0) {
      const short = { deadlineMs: 900, fenceMs: 330 };
      await nodes.submit({ node: "beam-4", slot, groups: [[40, 0]], ...short });
    }
    await delay(slotMs * 0.8);
  }
}

const live = test.skipIf(browser === undefined);

live("says what to do before the first snapshot, and loads nothing from elsewhere", async () => {
  await open();
  await page.getByText("No snapshot yet.").waitFor();
  await page.getByText("lean-aggregator example | lean-aggregator submit -").waitFor();
  await page.locator("#state.ready").waitFor();
  expect(await page.locator("#state").textContent()).toBe("ready");
  const own = `http://${service.operatorAddress ?? ""}/`;
  expect(asked.filter((url) => !url.startsWith(own))).toEqual([]);
  expect(complaints).toEqual([]);
});

live("shows groups, devices, nodes and curves live, and takes the keyboard", async () => {
  await open();
  await page.locator("#state.ready").waitFor();
  await work(SHOTS ? 9 : 3, SHOTS ? 2600 : 900);
  await page.locator("#chart .bar.proved").first().waitFor();
  expect(await page.locator("#empty").isVisible()).toBe(false);
  for (const name of ["cpu-a", "cpu-b"]) await page.locator("#devices").getByText(name).waitFor();
  for (const name of ["beam-1", "beam-2", "beam-3"]) {
    await page.locator("#nodes").getByText(name).waitFor();
  }
  await page.locator("#losses").getByText("skipped: in flight").waitFor();
  expect(await page.locator("#costs .cost-band").count()).toBe(2);
  expect(await page.locator("#chart line.fence").count()).toBeGreaterThan(0);
  await page.locator("#timeline").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  expect(await page.locator("#selected-text").textContent()).toMatch(/slot \d+, beam-\d, group \d/);
  expect(await page.locator("#tooltip").textContent()).toContain("raw signatures");
  if (SHOTS) await page.screenshot({ path: join(FIGURES, "live-page-light.png") });
  await page.keyboard.press(" ");
  expect(await page.locator("#pause").textContent()).toBe("Go live");
  await page.keyboard.press("+");
  expect(await page.locator("#spans [aria-pressed=true]").textContent()).toBe("10 s");
  expect(complaints).toEqual([]);
});

live("is dark where the user wants it, and every control has a name", async () => {
  await open({}, "dark");
  await page.locator("#state.ready").waitFor();
  await work(SHOTS ? 9 : 1, SHOTS ? 2600 : 400);
  await page.locator("#chart .bar.proved").first().waitFor();
  const back = await page.evaluate(
    () => getComputedStyle(document.documentElement).backgroundColor,
  );
  expect(back).toBe("rgb(13, 17, 23)");
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, [tabindex]")]
      .filter((each) => {
        const { id } = each;
        const label = id === "" ? null : document.querySelector(`label[for="${id}"]`);
        const name = each.getAttribute("aria-label") ?? label?.textContent ?? each.textContent;
        return name.trim() === "";
      })
      .map((each) => each.outerHTML),
  );
  expect(nameless).toEqual([]);
  if (SHOTS) await page.screenshot({ path: join(FIGURES, "live-page-dark.png") });
});

live("shows nothing to a caller whom the policy does not let, and all with a token", async () => {
  const operator = { name: "operator", operatorCalls: ["*"], tokens: [tokenOf("lagg_operator")] };
  const policy = policyFile(operator, {
    name: "anonymous",
    anonymous: true,
    calls: ["*"],
    nodes: ["*"],
    priorities: ["*"],
  });
  await open({ policy });
  await page.locator("#token").waitFor();
  expect(await page.locator("#notice").textContent()).toContain("StreamActivity");
  expect(await page.locator("#devices").textContent()).toBe("");
  await page.locator("#token").fill("lagg_wrong");
  await page.keyboard.press("Enter");
  await page.locator("#notice").getByText("token").waitFor();
  await page.locator("#token").fill("lagg_operator");
  await page.keyboard.press("Enter");
  await page.locator("#devices").getByText("cpu-a").waitFor();
  expect(await page.locator("#token-form").isVisible()).toBe(false);
});

live("takes the names of nodes as text", async () => {
  await open();
  await page.locator("#state.ready").waitFor();
  await nodes.submit({ node: "a.b_c-d", slot: 1, groups: [[4, 0]] });
  await page.locator("#nodes").getByText("a.b_c-d").waitFor();
});
