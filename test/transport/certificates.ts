/** Certificates and keys as files, which last as long as a test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../helpers/temporary-folder.js";

/** A fresh folder with a file for each text; returns their paths. */
export function filesOf<Name extends string>(texts: Record<Name, string>): Record<Name, string> {
  const folder = temporaryFolder();
  const paths = Object.entries<string>(texts).map(([name, text]) => {
    const path = join(folder, `${name}.pem`);
    writeFileSync(path, text);
    return [name, path];
  });
  return Object.fromEntries(paths) as Record<Name, string>;
}
