/**
 * The live page of a whole service, in Chromium, whose stream the test writes: what a service would never
 * say can be shown. The policy of the page's content is off, so that a fault of the page's own shows.
 */
import type { Browser, Page } from "playwright-core";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { startTestService } from "../helpers/start-service.js";

const STREAM = "**/lean.aggregator.admin.v1.AdminService/StreamActivity";
const END = 2;

export interface FedPage {
  page: Page;
  /** The page's next stream has these answers, and ends. The page asks again after a second. */
  feed(answers: readonly object[]): void;
  /** Errors of the page's scripts. */
  complaints: string[];
  close(): Promise<void>;
}

export async function openFedPage(browser: Browser): Promise<FedPage> {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(prover, { drainMs: 1 });
  const viewport = { width: 1360, height: 1420 };
  const page = await browser.newPage({ viewport, bypassCSP: true });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  let fed: readonly object[] = [];
  await page.route(STREAM, (route) => {
    const body = Buffer.concat([...fed.map((each) => envelope(0, each)), envelope(END, {})]);
    fed = [];
    return route.fulfill({ contentType: "application/connect+json", body });
  });
  await page.goto(`http://${service.operatorAddress ?? ""}/`);
  const close = async () => {
    await page.close();
    await service.close();
  };
  return { page, complaints, close, feed: (answers) => (fed = answers) };
}

export function envelope(flags: number, json: object): Buffer {
  const body = Buffer.from(JSON.stringify(json));
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}
