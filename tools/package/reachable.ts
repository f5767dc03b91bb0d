/** Which compiled files a package needs, from those that its users import. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export interface Reachable {
  /** Paths in the root, sorted: modules and their declarations. */
  files: string[];
  /** Names of packages that they import, sorted; none of Node's own. */
  packages: string[];
}

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']/g;

/**
 * Follows every import from the entries, in code and in declarations. Throws when a file is missing.
 *
 * @param root absolute path of a folder, such as of the checkout
 * @param entries paths of modules in the root, such as `dist/client/index.js`
 */
export function reachableFrom(root: string, entries: readonly string[]): Reachable {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = entries.flatMap(withDeclarations);
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (files.has(path)) continue;
    const absolute = join(root, path);
    if (!existsSync(absolute)) throw new Error(`${absolute} is missing; run 'make build'`);
    files.add(path);
    for (const [, name = ""] of readFileSync(absolute, "utf8").matchAll(IMPORT)) {
      if (name.startsWith("."))
        open.push(...withDeclarations(relative(root, join(root, dirname(path), name))));
      else if (!name.startsWith("node:")) packages.add(packageOf(name));
    }
  }
  return { files: [...files].sort(), packages: [...packages].sort() };
}

const withDeclarations = (path: string) => [path, path.replace(/\.js$/, ".d.ts")];

/** `@scope/name/part` and `name/part` without the part. */
const packageOf = (name: string) =>
  name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");
