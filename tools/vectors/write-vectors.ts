/**
 * Writes the generated sequences, and the schemas of events and effects, into test/vectors:
 * `npm run vectors`.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { candidateSequences } from "./candidate.js";
import { generatedFiles } from "./files.js";
import { schemaFiles } from "./schema.js";

const folder = process.argv[2] ?? "test/vectors";
const generated = join(folder, "generated");
rmSync(generated, { recursive: true, force: true });
mkdirSync(generated, { recursive: true });
mkdirSync(join(folder, "candidate"), { recursive: true });
for (const [name, text] of generatedFiles()) writeFileSync(join(generated, name), text);
writeFileSync(join(folder, "candidate", "generated.ndjson"), candidateSequences());
for (const [name, text] of schemaFiles()) writeFileSync(join(folder, "schema", name), text);
