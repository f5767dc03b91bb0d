/** What a document in Markdown has: its anchors as GitHub makes them, its links, its blocks of code. */
import MarkdownIt from "markdown-it";
import type { Token } from "markdown-it";

export interface Link {
  /** As it is written: `../start.md#run-it`. */
  href: string;
  /** Line of the block that it is in, from 1. */
  line: number;
}

export interface CodeBlock {
  /** `sh`, `ts` and so on; for an indented block, what it looks like. */
  language: string;
  text: string;
  /** What the comment `<!-- with: … -->` right before it declares, for checks alone. */
  declared: string;
  line: number;
}

export interface Document {
  title: string;
  anchors: ReadonlySet<string>;
  links: readonly Link[];
  blocks: readonly CodeBlock[];
}

const markdown = new MarkdownIt({ html: true });

export function parseDocument(text: string): Document {
  const tokens = markdown.parse(text, {});
  const headings = tokens.flatMap(({ type }, at) =>
    type === "heading_open" ? [plainText(tokens[at + 1])] : [],
  );
  return {
    title: headings[0] ?? "",
    anchors: new Set(anchorsOf(headings)),
    links: tokens.flatMap((token) => linksIn(token)),
    blocks: tokens.flatMap((token, at) => blockIn(token, tokens[at - 1])),
  };
}

/** The anchor of a heading, as GitHub makes it; the site has the same ones. */
export function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "");
  return kept.trim().replaceAll(" ", "-");
}

/** A heading whose text was there before gets a number. */
function anchorsOf(headings: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return headings.map((heading) => {
    const anchor = anchorOf(heading);
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

function plainText(token: Token | undefined): string {
  const parts = token?.children ?? [];
  return parts
    .map(({ type, content }) => (/^(text|code_inline)$/.test(type) ? content : ""))
    .join("");
}

function linksIn(token: Token): Link[] {
  const line = (token.map?.[0] ?? 0) + 1;
  return (token.children ?? []).flatMap((child) => {
    const href = child.attrGet("href") ?? child.attrGet("src");
    return href === null ? [] : [{ href, line }];
  });
}

function blockIn({ type, info, content, map }: Token, before: Token | undefined): CodeBlock[] {
  if (type !== "fence" && type !== "code_block") return [];
  const named = info.trim().split(/[\s,]/)[0] ?? "";
  const language = type === "fence" ? named : languageOf(content);
  const [, declared = ""] = /^<!-- with:([^]*)-->/.exec(before?.content ?? "") ?? [];
  return [{ language, text: content, declared, line: (map?.[0] ?? 0) + 1 }];
}

const COMMANDS =
  /^(\$ |[A-Z_]+=\S+ )*(bash|build\/\S+|cargo|cc|cd|cp|curl|docker|echo|find|gdb|git|go|grpcurl|helm|install|jq|kubectl|lean-aggregator|make|mkdir|node|npm|npx|openssl|pip|promtool|python|python3|source|ssh|systemctl|test\/\S+|tools\/\S+|usermod|xargs)(?=\s|$)/;

/** Lines and arrows of a drawing in characters. */
const DRAWN = /[─│▶]/;

/** The language of an indented block: lines of a shell, JSON, or plain text. */
export function languageOf(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const [first = ""] = lines.filter((line) => !line.startsWith("#"));
  if (COMMANDS.test(first) && !DRAWN.test(text)) return "sh";
  return /^[[{]["\n ]/.test(text) ? "json" : "text";
}
