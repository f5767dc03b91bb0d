/**
 * What the page says of a service that hangs or is cut off, in a real Chromium: that there is no
 * connection, and no load that it does not know of. And what it leaves as it is for its user.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { policyFile, tokenOf } from "../rpc/access/access-matrix.js";
import type { TcpProxy } from "../rpc/tcp-proxy.js";
import { startTcpProxy } from "../rpc/tcp-proxy.js";
import { startTestService } from "../helpers/start-service.js";
import { openBrowser } from "./chromium.js";
import { Nodes } from "./nodes.js";

const browser: Browser | undefined = await openBrowser();
const seen = test.skipIf(browser === undefined);

let endProofs: () => void;
let service: Service;
let nodes: Nodes;
let proxy: TcpProxy;
let page: Page;

async function open(settings: Record<string, unknown> = {}): Promise<void> {
  if (browser === undefined) throw new Error("no browser");
  const ended = new Promise<void>((resolve) => (endProofs = resolve));
  const prover = () => startFakeProver({ accepts: "any", proveMs: () => 1, sleep: () => ended });
  service = await startTestService(prover, { drainMs: 1, ...settings });
  nodes = new Nodes(service.addresses[0] ?? "");
  proxy = await startTcpProxy(service.operatorAddress ?? "");
  page = await browser.newPage({ viewport: { width: 1360, height: 1420 } });
  await page.goto(`http://${proxy.address}/`);
}

beforeEach(() => (endProofs = () => undefined));
afterEach(async () => {
  if (browser === undefined) return;
  endProofs();
  await page.close();
  nodes.close();
  await proxy.close();
  await service.close();
});
afterAll(() => browser?.close());

const state = (text: string) => page.locator("#state").getByText(text, { exact: true }).waitFor();

/** A proof runs, and the page shows it. */
async function showProof(): Promise<void> {
  await state("ready");
  const limits = { deadlineMs: 50_000, fenceMs: 60_000 };
  expect(await nodes.submit({ node: "a", slot: 1, groups: [[4, 0]], ...limits })).toBe("accepted");
  await page.locator("#chart .bar.proving").first().waitFor();
  await page.locator("#nodes").getByText("a", { exact: true }).waitFor();
}

/** Resolves when the timeline has been drawn this many times more: each time takes 100 ms. */
const drawn = (times: number): Promise<void> =>
  page.evaluate(async (count) => {
    const chart = document.querySelector("#chart");
    if (chart === null) throw new Error("no chart");
    for (let at = 0; at < count; at++) {
      await new Promise<void>((resolve) => {
        const watch = new MutationObserver(() => {
          watch.disconnect();
          resolve();
        });
        watch.observe(chart, { childList: true });
      });
    }
  }, times);

const chart = () => page.locator("#chart").innerHTML();

seen(
  "a service that hangs is shown as lost, its time stands still, and it comes back",
  async () => {
    await open();
    await showProof();
    proxy.hold();
    await state("no connection");
    expect(await page.locator("#link").textContent()).toContain("no answer for 5 s");
    const before = [await chart(), await page.locator("#figures").textContent()];
    await drawn(12);
    expect([await chart(), await page.locator("#figures").textContent()]).toEqual(before);
    proxy.cut(service.operatorAddress);
    await state("ready");
    expect(await page.locator("#link").textContent()).toBe("live");
    await drawn(2);
    expect(await chart()).not.toBe(before[0]);
  },
);

seen("a service that is gone is shown as lost, also before the first answer", async () => {
  await open();
  await state("ready");
  proxy.cut();
  await state("no connection");
  await page.route("**/StreamActivity", (route) => route.abort());
  proxy.cut(service.operatorAddress);
  await page.reload();
  await state("no connection");
});

seen(
  "tables stay while text in them is selected, or the page is paused, and no status repeats",
  async () => {
    await open();
    await showProof();
    const watch = (selector: string) =>
      page.evaluateHandle((id) => {
        const seen = { changes: 0 };
        const element = document.querySelector(id);
        if (element === null) throw new Error(id);
        const changed = (records: MutationRecord[]) => (seen.changes += records.length);
        new MutationObserver(changed).observe(element, { childList: true });
        return seen;
      }, selector);
    const [devices, losses, said] = [
      await watch("#devices"),
      await watch("#losses"),
      await watch("#state"),
    ];
    const changes = async () =>
      Promise.all([devices, losses].map((each) => each.evaluate((seen) => seen.changes)));
    await drawn(12);
    expect(Math.min(...(await changes()))).toBeGreaterThan(0);
    await page.evaluate(() =>
      getSelection()?.selectAllChildren(document.querySelector("#devices b") ?? document.body),
    );
    const [whenSelected, other = 0] = await changes();
    await drawn(12);
    expect(await changes()).toEqual([whenSelected, expect.any(Number)]);
    expect((await changes())[1]).toBeGreaterThan(other);
    await page.evaluate(() => getSelection()?.removeAllRanges());
    await page.locator("#pause").click();
    const whenPaused = await changes();
    expect(whenPaused[0]).toBeGreaterThan(whenSelected ?? 0);
    await drawn(12);
    expect(await changes()).toEqual(whenPaused);
    expect(await said.evaluate((seen) => seen.changes)).toBe(0);
  },
);

seen("a token that fetch would refuse is named, and the form takes the next", async () => {
  const operator = { name: "operator", operatorCalls: ["*"], tokens: [tokenOf("lagg_operator")] };
  await open({ policy: policyFile(operator) });
  await page.locator("#token").fill("lagg_operat\u043er");
  await page.keyboard.press("Enter");
  await page.locator("#notice").getByText("not ASCII").waitFor();
  await page.locator("#token").fill("lagg_operator");
  await page.keyboard.press("Enter");
  await page.locator("#devices").getByText("cpu").waitFor();
  expect(await page.locator("#token-form").isVisible()).toBe(false);
});
