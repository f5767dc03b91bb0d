/** Writes the generated sequences into test/vectors/generated: `npm run vectors`. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedFiles } from "./files.js";

const folder = process.argv[2] ?? "test/vectors/generated";
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [name, text] of generatedFiles()) writeFileSync(join(folder, name), text);
