/** The folder of the package: a checkout, or where npm has installed it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// This file runs compiled, as dist/cli/io/package-root.js, or as the source that tests load.
const candidates = ["../../../", "../../"].map((up) => fileURLToPath(new URL(up, import.meta.url)));

/** Path of the package's folder, which has package.json, with a slash at its end. */
export const packageRoot =
  candidates.find((folder) => existsSync(`${folder}package.json`)) ?? process.cwd();
