/** `make sbom`: prints the bill of materials of this checkout. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { billOfMaterials } from "./bill-of-materials.js";
import { bom } from "./cyclonedx.js";
import { parseLockFile } from "./lock-file.js";
import { readOptionalWheel, readWheel } from "./wheel.js";

const NPM_SBOM = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];

const npm = execFileSync("npm", NPM_SBOM, { encoding: "utf8" });
const bill = billOfMaterials({
  npm: bom.parse(JSON.parse(npm)),
  locked: parseLockFile(readFileSync("package-lock.json", "utf8")),
  wheel: readWheel(process.cwd()),
  optional: readOptionalWheel(process.cwd()),
});
process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`);
