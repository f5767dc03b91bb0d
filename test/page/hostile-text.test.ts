/**
 * Markup in every text that a node, a caller or a lane host chooses, in a real Chromium and without the
 * page's content policy: nothing runs, no element comes of it, and the text itself is shown.
 */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, expect, test } from "vitest";
import { openBrowser } from "./chromium.js";
import type { FedPage } from "./fed-page.js";
import { openFedPage } from "./fed-page.js";

const browser: Browser | undefined = await openBrowser();
const seen = test.skipIf(browser === undefined);

let fed: FedPage | undefined;
afterEach(async () => {
  await fed?.close();
  fed = undefined;
});
afterAll(() => browser?.close());

/** Each runs in a page that takes text as HTML, as an attribute, or as an address. */
const attacks = [
  "<img src=x onerror=hit()>",
  "<svg><script>hit()</script></svg>",
  `"' onmouseover=hit() x="`,
  "</text><foreignObject><iframe srcdoc='<script>parent.hit()</script>'>",
  "javascript:hit()",
];

const fields = [
  "node",
  "request",
  "device",
  "scheme",
  "revision",
  "detail",
  "cause",
  "session",
  "service",
];

/** An answer in which each field of `fields` has its own mark and the attack. */
function answerWith(attack: string, number: number) {
  const of = Object.fromEntries(fields.map((field) => [field, `${field}${number} ${attack}`]));
  const { node, request, device, scheme, revision, detail, cause, session, service } = of;
  const times = { receivedAtMs: 100, deadlineAtMs: 4000, fenceAtMs: 9000 };
  const lane = (state: string, rest: object) => ({
    atMs: 150,
    lane: { deviceId: device, state: `DEVICE_STATE_${state}`, ...rest },
  });
  return {
    ...{ nowMs: 1000, nowUnixMs: 1.7e12, serviceId: service, run: service, serverVersion: service },
    status: { state: "SERVICE_STATE_READY", detail },
    activities: [
      {
        atMs: 100,
        accepted: {
          ...{ sessionId: session, requestId: request, nodeId: node, slot: "7", ...times },
          groups: [{ votes: 4, rawSignatures: 4 }],
        },
      },
      { atMs: 120, skipped: { nodeId: node, slot: "7", reason: `SKIP_${attack}`, detail } },
      { atMs: 140, started: { sessionId: session, attempt: 1, deviceId: device } },
      lane("PROVING", { attempt: 1, proof: { rawSignatures: 4 } }),
      {
        atMs: 700,
        ended: {
          ...{ sessionId: session, status: `OUTCOME_${attack}`, reason: `REASON_${attack}` },
          votes: { [attack]: 3 },
        },
      },
      lane(attack, { cause }),
    ],
    devices: [
      { status: { deviceId: device, state: `DEVICE_STATE_${attack}`, cause }, scheme, revision },
      { status: { deviceId: `${device} 2` }, scheme: `${scheme} 2`, revision },
    ],
    nodes: [{ nodeId: node, usedMs: 5 }],
  };
}

seen.each(attacks.map((attack, number) => [attack, number] as const))(
  "%s is shown as text wherever it stands",
  async (attack, number) => {
    if (browser === undefined) return;
    fed = await openFedPage(browser);
    const { page, complaints } = fed;
    await page.evaluate("window.hits = 0; window.hit = () => { window.hits++; }");
    fed.feed([answerWith(attack, number)]);
    await page.locator("#nodes").getByText(`node${number} ${attack}`).waitFor();
    await page.locator("#timeline").focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"]) {
      await page.keyboard.press(key);
      await page.locator("#tooltip p").first().waitFor();
    }
    await page.keyboard.press("ArrowUp");
    await page.locator("#chart .item").first().dispatchEvent("pointermove", { bubbles: true });
    for (const field of ["node", "device", "cause", "detail", "service"]) {
      const text = `${field}${number} ${attack}`;
      expect(await page.locator("body").textContent(), field).toContain(text);
    }
    expect(await page.evaluate("window.hits")).toBe(0);
    expect(await elementsThatNobodyMeant(fed)).toEqual([]);
    expect(complaints).toEqual([]);
  },
);

/** Elements and attributes that the page itself never makes. */
const elementsThatNobodyMeant = ({ page }: FedPage): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll("*")]
      .filter((each) => {
        const isLoaded = each.matches("img, iframe, object, embed, foreignObject");
        const isScript = each.matches("script:not([src^='/page/'])");
        const names = each.getAttributeNames();
        const isHandler = names.some((name) => /^on|^srcdoc$/.test(name));
        return isLoaded || isScript || isHandler || each.matches("[href^='javascript:']");
      })
      .map((each) => each.outerHTML),
  );

seen("a text of any length and direction leaves the page as wide as it is", async () => {
  if (browser === undefined) return;
  fed = await openFedPage(browser);
  const { page } = fed;
  fed.feed([answerWith("W".repeat(2000) + "\u202e" + "\u0301".repeat(200), 1)]);
  await page.locator("#nodes").getByText("node1").waitFor();
  await page.locator("#timeline").focus();
  await page.keyboard.press("ArrowDown");
  await page.locator("#tooltip p").first().waitFor();
  const [width, inner] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    innerWidth,
  ]);
  expect(width).toBe(inner);
});
