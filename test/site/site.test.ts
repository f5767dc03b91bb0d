/**
 * The built documentation site: every link of every page leads to a page and a section that were built,
 * and in a real Chromium nothing is loaded from elsewhere, pages fit a phone, and the search finds.
 * What needs the browser is skipped where no Chromium is installed.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { openBrowser } from "../page/chromium.js";

const folder = temporaryFolder();
const BUILD_TIMEOUT_MS = 300_000;
const browser = await openBrowser();
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

beforeAll(() => {
  execFileSync("npx", ["vitepress", "build", "tools/site", "--outDir", folder], { stdio: "pipe" });
}, BUILD_TIMEOUT_MS);
afterAll(() => browser?.close());

const pages = () =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /\.html$/.test(name));
const textOf = (page: string) => readFileSync(join(folder, page), "utf8");
const idsIn = (html: string) => new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));

describe("the built pages", () => {
  test("link to pages and sections that were built", () => {
    expect(pages().length).toBeGreaterThan(80);
    const html = new Map(pages().map((page) => [`/${page}`, textOf(page)]));
    const faults = [...html].flatMap(([page, text]) =>
      [...text.matchAll(/<a [^>]*href="(\/[^"]*|#[^"]*)"/g)].flatMap(([, href = ""]) => {
        const [written = "", anchor = ""] = decodeURIComponent(href).split("#");
        const path = written === "" ? page : written === "/" ? "/index.html" : written;
        const found = html.get(path.endsWith(".html") ? path : `${path}.html`);
        if (found === undefined) return existsSync(join(folder, path)) ? [] : [`${page}: ${href}`];
        return anchor === "" || idsIn(found).has(anchor) ? [] : [`${page}: ${href}`];
      }),
    );
    expect(faults).toEqual([]);
  });

  test("name no style, script or picture from elsewhere", () => {
    for (const page of pages())
      expect(textOf(page), page).not.toMatch(/<(script|link|img)[^>]* (src|href)="(https?:)?\/\//);
  });
});

describe.skipIf(browser === undefined)("in Chromium", () => {
  let server: Server;
  let origin: string;
  beforeAll(async () => {
    server = createServer(({ url = "/" }, response) => {
      const path = decodeURIComponent(url.split("?")[0] ?? "/");
      const file = join(folder, path === "/" ? "index.html" : path);
      if (!existsSync(file)) return void response.writeHead(404).end();
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type }).end(readFileSync(file));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  async function open(path: string, colorScheme: "light" | "dark", width: number) {
    const context = await (browser as Browser).newContext({
      viewport: { width, height: 800 },
      colorScheme,
    });
    const page = await context.newPage();
    const faults: string[] = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith("data:"))
        faults.push(`asked for ${request.url()}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
    });
    page.on("pageerror", ({ message }) => faults.push(message));
    await page.goto(`${origin}${path}`, { waitUntil: "networkidle" });
    return { page, faults, close: () => context.close() };
  }

  test.each([
    ["/", "light"],
    ["/concepts.html", "dark"],
    ["/operate/alerts.html", "light"],
    ["/reference/configuration.html", "dark"],
    ["/reference/proto.html", "light"],
    ["/reference/cli.html", "dark"],
    ["/design/devnet-report.html", "light"],
  ] as const)("%s fits a phone, in the %s scheme", async (path, scheme) => {
    const { page, faults, close } = await open(path, scheme, 375);
    const tooWide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    expect(faults).toEqual([]);
    expect(tooWide).toBeLessThanOrEqual(0);
    expect(await page.evaluate("document.documentElement.classList.contains('dark')")).toBe(
      scheme === "dark",
    );
    await close();
  });

  test("the search finds a section by its words", async () => {
    const { page, faults, close } = await open("/", "light", 1280);
    await page.getByRole("button", { name: "Search" }).first().click();
    await page.locator(".search-input").fill("deadline and fence");
    const first = page.locator(".result").first();
    await first.waitFor();
    expect(await first.textContent()).toMatch(/fence/i);
    expect(faults).toEqual([]);
    await close();
  });
});
