/** `make sim SEED=n`: one simulated schedule, event by event; without SEED, many and their sum. */
import { World } from "./world.js";

const SCHEDULES = 1000;

async function replay(seed: number): Promise<number> {
  const report = await new World(seed, { isTraced: true }).run();
  for (const line of report.trace) process.stdout.write(`${line}\n`);
  const { accepted, skipped, groups, violations } = report;
  process.stdout.write(`\nseed ${seed}: ${accepted} sessions accepted, ${skipped} skipped, `);
  process.stdout.write(`${groups} groups, ${violations.length} promises broken\n`);
  for (const [ending, count] of Object.entries(report.endings).sort())
    process.stdout.write(`  ${String(count).padStart(5)}  ${ending.toLowerCase()}\n`);
  for (const violation of violations) process.stdout.write(`  BROKEN  ${violation}\n`);
  return violations.length;
}

async function many(): Promise<number> {
  const endings: Record<string, number> = {};
  let broken = 0;
  for (let seed = 0; seed < SCHEDULES; seed++) {
    const report = await new World(seed).run();
    if (report.violations.length > 0) {
      broken++;
      process.stdout.write(`seed ${seed}: ${report.violations[0] ?? ""}\n`);
    }
    for (const [ending, count] of Object.entries(report.endings))
      endings[ending] = (endings[ending] ?? 0) + count;
    if (process.stderr.isTTY) process.stderr.write(`\r${seed + 1} of ${SCHEDULES} schedules `);
  }
  process.stdout.write(`\n${SCHEDULES} schedules, ${broken} with a broken promise\n`);
  for (const [ending, count] of Object.entries(endings).sort())
    process.stdout.write(`  ${String(count).padStart(6)}  ${ending.toLowerCase()}\n`);
  return broken;
}

const seed = process.env["SEED"];
if (seed !== undefined && !/^\d+$/.test(seed)) {
  process.stderr.write(`SEED is ${JSON.stringify(seed)}, expected a whole number\n`);
  process.exit(2);
}
process.exit((seed === undefined ? await many() : await replay(Number(seed))) === 0 ? 0 : 1);
