/**
 * The files of the operator's live page, from this package, by a fixed list of names. They hold no secret,
 * so everyone who reaches the operator's listener may read them: a browser sends no token with an address.
 * What the page shows comes by `StreamActivity`, which the policy guards.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HttpRequest, HttpResponse } from "../../net/http-listener.js";
import type { Clock } from "../../clock.js";
import { answerText, cutWhenSlow, refuseMethod } from "./pages.js";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The page loads what this listener serves, and stands in no other page. */
const headers = {
  "content-security-policy":
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // After an upgrade of the service the browser must not mix scripts of two versions.
  "cache-control": "no-cache",
};

interface PageFile {
  type: string;
  body: Buffer;
}

export class LivePage {
  /** By path; read at the first request. */
  private files: ReadonlyMap<string, PageFile> | undefined;

  constructor(private readonly modules: { clock: Clock }) {}

  has(path: string): boolean {
    return path === "/" || path.startsWith("/page/");
  }

  /** Answers the request for a file. The path must be one that it `has`. */
  answer(path: string, { method = "" }: HttpRequest, response: HttpResponse): void {
    cutWhenSlow(response, this.modules.clock);
    if (!["GET", "HEAD"].includes(method)) return refuseMethod(response, "GET, HEAD");
    this.files ??= readFiles();
    const file = this.files.get(path);
    if (file !== undefined) {
      answerText(response, 200, file.body, { ...headers, "content-type": file.type });
    } else if (path === "/") {
      answerText(response, 503, "the live page is not built: run 'npm run build' in the package\n");
    } else answerText(response, 404, "not found: the live page is /\n");
  }
}

/** Empty when the page is not built. */
function readFiles(): ReadonlyMap<string, PageFile> {
  const root = packageRoot();
  const scripts = join(root, "dist", "page");
  const files = new Map<string, PageFile>();
  if (!existsSync(join(scripts, "view", "app.js"))) return files;
  const add = (path: string, file: string) => {
    const type = types[extname(file)];
    if (type !== undefined) files.set(path, { type, body: readFileSync(file) });
  };
  add("/", join(root, "page", "index.html"));
  for (const name of ["page.css", "icon.svg"]) add(`/page/${name}`, join(root, "page", name));
  for (const folder of ["model", "view"]) {
    for (const name of readdirSync(join(scripts, folder))) {
      if (name.endsWith(".js")) add(`/page/${folder}/${name}`, join(scripts, folder, name));
    }
  }
  return files;
}

/** The folder of package.json: this file runs compiled, from `dist`, and in tests as it is. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  return folder;
}
