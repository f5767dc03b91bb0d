/** `npm run audit`: exit code 0 when nothing is left to explain, or nothing could be asked. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { judgeAudit } from "./audit.js";

const { stdout } = spawnSync("npm", ["audit", "--json"], { encoding: "utf8" });
const exceptions = readFileSync("tools/supply/audit-exceptions.json", "utf8");
const audit = judgeAudit(stdout, exceptions, new Date().toISOString().slice(0, 10));
if (audit.kind === "skipped") console.log(`audit skipped: ${audit.why}`);
else {
  for (const text of audit.explained) console.log(`explained  ${text}`);
  for (const text of audit.problems) console.log(`PROBLEM    ${text}`);
  const { problems, explained } = audit;
  console.log(`audit: ${problems.length} problems, ${explained.length} explained`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
