/**
 * The configuration of the documentation site, for vitepress. Pages are the repository's own documents:
 * nothing is copied, and links are resolved as GitHub resolves them.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path/posix";
import type { DefaultTheme, MarkdownRenderer, UserConfig } from "vitepress";
import { z } from "zod";
import { anchorOf, languageOf } from "./document.js";
import { siteLink } from "./links.js";
import { addressOf, SECTIONS } from "./pages.js";

const { description, repository } = z
  .object({ description: z.string(), repository: z.object({ url: z.string() }) })
  .parse(JSON.parse(readFileSync("package.json", "utf8")));
const source = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");

const documents = execFileSync("git", ["ls-files", "*.md"], { encoding: "utf8" })
  .split("\n")
  .filter((path) => path !== "");
const addresses = new Map(
  documents.flatMap((document): [string, string][] => {
    const address = addressOf(document);
    return address === undefined ? [] : [[document, address]];
  }),
);
/** Folders that git ignores: what is built there has documents too, such as the packed ones in `out`. */
const ignored = readFileSync(".gitignore", "utf8")
  .split("\n")
  .filter((line) => line.endsWith("/"))
  .map((folder) => `**/${folder}**`);

/** The environment in which vitepress renders a page. */
const environment = z.object({ realPath: z.string().optional(), path: z.string() });
const root = process.cwd();

export const siteConfig: UserConfig<DefaultTheme.Config> = {
  title: "lean-aggregator",
  description,
  lang: "en",
  srcDir: root,
  srcExclude: [...documents.filter((document) => !addresses.has(document)), ...ignored],
  outDir: join(root, "out/docs"),
  cacheDir: join(root, "out/docs-cache"),
  rewrites: Object.fromEntries(addresses),
  base: process.env["DOCS_BASE"] ?? "/",
  head: [["link", { rel: "icon", href: iconAsData() }]],
  markdown: {
    anchor: { slugify: anchorOf },
    config: (markdown) => {
      rewriteLinks(markdown);
      prepareBlocks(markdown);
      inlineDrawings(markdown);
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    sidebar: SECTIONS.map(({ name, pages }) => ({
      text: name,
      collapsed: name === "Design" || name === "Work on it",
      items: pages.map(([text, document]) => ({ text, link: `/${addresses.get(document) ?? ""}` })),
    })),
    nav: [
      { text: "Start", link: "/start" },
      { text: "Adopt it", link: "/adopt/adapter" },
      { text: "Operate it", link: "/operate/alone" },
      { text: "Reference", link: "/reference/cli" },
    ],
    editLink: { pattern: `${source}/blob/main/:path`, text: "Source of this page" },
  },
};

/** Every link leads where GitHub would lead it: to the page of the document, or to the source. */
function rewriteLinks(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push("links_of_the_repository", ({ tokens, env }) => {
    const document = documentOf(env);
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        const href = token.type === "link_open" ? token.attrGet("href") : null;
        // A link within the page stays one: the search finds headings by theirs.
        if (href !== null && !href.startsWith("#"))
          token.attrSet("href", siteLink(document, href, source));
      }
    }
  });
}

/** Indented blocks are shown like fenced ones; of a fence only the language counts. */
function prepareBlocks(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push("blocks", ({ tokens }) => {
    for (const token of tokens) {
      if (token.type === "fence") token.info = token.info.replace(/,.*/, "");
      if (token.type !== "code_block") continue;
      token.type = "fence";
      token.tag = "code";
      token.info = languageOf(token.content);
    }
  });
}

/** Drawings of ours become part of the page, so that they follow its light or dark scheme. */
function inlineDrawings(markdown: MarkdownRenderer): void {
  const { image } = markdown.renderer.rules;
  markdown.renderer.rules.image = (tokens, at, options, env, self) => {
    const src = tokens[at]?.attrGet("src") ?? "";
    if (src.startsWith("pictures/") && src.endsWith(".svg"))
      return drawing(join(dirname(documentOf(env)), src));
    return image?.(tokens, at, options, env, self) ?? self.renderToken(tokens, at, options);
  };
}

/** Without its own colours: the site's style sheet has them, for both schemes. */
function drawing(path: string): string {
  const text = readFileSync(path, "utf8");
  const drawn = text.replace(/<style>[^]*?<\/style>/, "").replaceAll(/\n\s*/g, " ");
  return `<span class="drawing-frame">${drawn}</span>`;
}

function documentOf(env: unknown): string {
  const { realPath, path } = environment.parse(env);
  return relative(root, realPath ?? path);
}

function iconAsData(): string {
  return `data:image/svg+xml,${encodeURIComponent(readFileSync("page/icon.svg", "utf8"))}`;
}
