/** The browser of the page's tests: a Chromium of this machine, driven by playwright-core. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Browser } from "playwright-core";

const NAMES = ["chromium-headless-shell", "chromium", "google-chrome", "google-chrome-stable"];

/** The path in CHROMIUM, else the first Chromium in the PATH; undefined without any. */
function chromiumPath(): string | undefined {
  const given = process.env["CHROMIUM"];
  if (given !== undefined && given !== "") return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
}

/** Undefined when this machine has no Chromium, or the package is not installed. */
export async function openBrowser(): Promise<Browser | undefined> {
  const executablePath = chromiumPath();
  const playwright = await import("playwright-core").catch(() => undefined);
  if (executablePath === undefined || playwright === undefined) return undefined;
  return playwright.chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
