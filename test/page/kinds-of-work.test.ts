/** Trees, merges and several proof systems on the live page, in a real Chromium. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { mergeOf, rawsComponent } from "../../tools/harness/merges.js";
import { keyTable, snapshot } from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";
import { clientOver, inventedGroup, requestIdOf } from "../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../tools/harness/wire/contract.js";
import { startTestService } from "../helpers/start-service.js";
import { openBrowser } from "./chromium.js";

const browser: Browser | undefined = await openBrowser();
const [FIRST, NEXT] = [
  { scheme: "fake", revision: "fake-1" },
  { scheme: "fake", revision: "fake-2" },
];
const systems: Readonly<Record<string, typeof FIRST>> = {
  "cpu-a": FIRST,
  "cpu-b": FIRST,
  next: NEXT,
};

let service: Service;
let client: AggregatorClient;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  if (browser === undefined) return;
  const foldLimits = { rawsMax: 2, separatesRaws: true, arities: 0b10100 };
  const start = (id: string) =>
    startFakeProver({
      ...{ system: systems[id], foldLimits, proveMs: () => 60 },
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  const devices = Object.keys(systems).map((id, core) => ({ id, cores: [core], fake: {} }));
  const own = { prover: "fake", devices, proofSystem: "fake fake-1", drainMs: 1 };
  service = await startTestService(start, own);
  client = clientOver(service, "gRPC");
  page = await browser.newPage({ viewport: { width: 1360, height: 1420 } });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`http://${service.operatorAddress ?? ""}/`);
  await page.locator("#state.ready").waitFor();
}, 60_000);
afterAll(async () => {
  if (browser === undefined) return;
  await browser.close();
  await service.close();
});

const seen = test.skipIf(browser === undefined);

async function prove(nodeId: string, group: GroupInit, proofSystem = FIRST): Promise<void> {
  const node = { nodeId };
  const limits = { deadlineMs: 20_000, fenceMs: 30_000 };
  const sent = { node, snapshot: snapshot(100, [group], keyTable(32)), proofSystem, ...limits };
  const requestId = requestIdOf(await client.submitSnapshot(sent));
  const { session } = await client.getSession({ node, requestId, waitMs: 20_000 });
  expect(session?.outcomes.map(({ detail }) => detail)).toEqual([""]);
}

/** Selects bars by the keyboard until one is described by such a text, and returns the text. */
async function select(wanted: RegExp): Promise<string> {
  await page.locator("#timeline").focus();
  await page.keyboard.press("Escape");
  for (let row = 0; row < 8; row++) {
    await page.keyboard.press("ArrowDown");
    for (let bar = 0; bar < 8; bar++) {
      const text = (await page.locator("#selected-text").textContent()) ?? "";
      if (wanted.test(text)) return text;
      await page.keyboard.press("ArrowRight");
    }
    for (let bar = 0; bar < 8; bar++) await page.keyboard.press("ArrowLeft");
  }
  throw new Error(`no bar says ${String(wanted)}`);
}

const related = () => page.locator("#chart .frame.related").count();

/** The text of the node's proved group of so many votes, once the page has it; for `expect.poll`. */
const rowOf = (nodeId: string, votes: string) => () =>
  select(new RegExp(`${nodeId}, group 0: proved; ${votes}`)).catch(() => "");

seen("a tree's jobs belong to its group, on all its devices", async () => {
  await prove("beam", inventedGroup(1, [0, 1, 2, 3]));
  await page.locator("#chart .bar.proved").first().waitFor();
  const text = await select(/beam, group 0: proved; 4 votes/);
  expect(text).toMatch(/a tree, 3 jobs so far, on cpu-[ab] \(cores \d\), cpu-[ab]/);
  await expect.poll(related).toBe(3);
  expect(await select(/fold of a tree: job 3 of 3/)).toContain("slot 100, beam, group 0: proved");
  await expect.poll(related).toBe(3);
});

seen("a merge is marked as one, in its row and on its lane", async () => {
  await prove("merger", mergeOf(rawsComponent(2), rawsComponent(3)));
  await page.locator("#chart .bar.merge").nth(1).waitFor();
  await expect.poll(rowOf("merger", "4 votes")).toContain("4 votes: merge of 2 messages");
});

seen("with several proof systems each device and each proof names its own", async () => {
  await prove("beam", inventedGroup(4, [0, 1]), NEXT);
  const headings = page.locator("#chart text.system");
  expect(await headings.allTextContents()).toEqual([
    "proof system fake fake-1",
    "proof system fake fake-2",
  ]);
  await page.locator("#devices").getByText("fake fake-2").waitFor();
  await expect.poll(rowOf("beam", "2 votes")).toMatch(/on next.*proof system fake fake-2/);
  expect(complaints).toEqual([]);
});
