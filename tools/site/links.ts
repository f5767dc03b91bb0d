/** Where a link of a document leads: to a page of the site, to a file of the repository, or elsewhere. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import { addressOf } from "./pages.js";

export type Target =
  /** A document; `anchor` is empty for its start. */
  | { kind: "document"; document: string; anchor: string }
  /** A file or folder of the repository that is no document. */
  | { kind: "file"; path: string }
  | { kind: "elsewhere"; href: string }
  | { kind: "broken"; why: string };

/**
 * Paths are from the root of the repository, which is the working directory.
 * @param document in which the link is @param href as it is written there
 */
export function targetOf(document: string, href: string): Target {
  if (/^[a-z][a-z+.-]*:/i.test(href)) return { kind: "elsewhere", href };
  const [written = "", anchor = ""] = href.split("#");
  const path = decodeURIComponent(written);
  const found =
    path === "" ? document : normalize(join(dirname(document), path)).replace(/\/$/, "");
  if (found.startsWith("..")) return { kind: "broken", why: "leads out of the repository" };
  if (!existsSync(found)) return { kind: "broken", why: `there is no ${found}` };
  if (statSync(found).isDirectory()) return ofFolder(found, anchor);
  if (found.endsWith(".md")) return { kind: "document", document: found, anchor };
  return { kind: "file", path: found };
}

/** A folder is shown by its README, as GitHub does. */
function ofFolder(folder: string, anchor: string): Target {
  const readme = `${folder}/README.md`;
  if (!existsSync(readme)) return { kind: "file", path: folder };
  return { kind: "document", document: readme, anchor };
}

/**
 * The same link on the site: an address of a page, or of the source at `repository`. Returns the link
 * as it is where it leads elsewhere or nowhere.
 */
export function siteLink(document: string, href: string, repository: string): string {
  const target = targetOf(document, href);
  switch (target.kind) {
    case "document": {
      const address = addressOf(target.document);
      if (address === undefined) return `${repository}/blob/main/${target.document}`;
      return `/${address}${target.anchor === "" ? "" : `#${target.anchor}`}`;
    }
    case "file": {
      const kind = statSync(target.path).isDirectory() ? "tree" : "blob";
      return `${repository}/${kind}/main/${target.path}`;
    }
    case "elsewhere":
    case "broken":
      return href;
  }
}
