/** The command of `npm run lint:words`: prints each finding, and exits with 1 if there is one. */
import { findings } from "./plain-words.js";

const found = findings();
for (const { place, idiom, instead } of found)
  process.stdout.write(`${place}: "${idiom}": better ${instead}\n`);
process.stdout.write(`${found.length} private idioms\n`);
process.exitCode = found.length === 0 ? 0 : 1;
