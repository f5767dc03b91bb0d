/** h2spec against the nodes' address: how HTTP/2 is spoken there, broken frames included. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { startTestService } from "../helpers/start-service.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { H2SPEC, hasProgram, INSTALL_TIMEOUT_MS, installH2spec, run } from "./interop-tools.js";
import { readKnownFailing } from "./known-failing.js";

/** All that this version has. */
const CASES = 145;
/** A case that sends what the server answers early may lose that race: it is run again, alone. */
const TRIES = 3;

const knownFailing = readKnownFailing("test/interop/h2spec/known-failing.txt");
const isMissing = !existsSync(H2SPEC) && !hasProgram("go", "version");
const reason = isMissing ? " (skipped: no go to build h2spec with)" : "";

type Verdict = "passed" | "failed" | "skipped";

describe(`h2spec${reason}`, () => {
  let service: Service;
  beforeAll(async () => {
    if (isMissing) return;
    await installH2spec();
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
  }, INSTALL_TIMEOUT_MS);
  afterAll(async () => {
    if (!isMissing) await service.close();
  });

  /** The verdict of each case, or of some: by section and place in it, as h2spec numbers them. */
  async function verdicts(...cases: string[]): Promise<Map<string, Verdict>> {
    const [, port = ""] = service.addresses[0]?.split(":") ?? [];
    const report = join(temporaryFolder(), "report.xml");
    await run(H2SPEC, ["-p", port, "-j", report, ...cases]);
    // It writes none when there is no such case.
    return parseReport(existsSync(report) ? readFileSync(report, "utf8") : "");
  }

  /** As expected in one of a few tries, alone. */
  async function isAsExpected(name: string, expected: Verdict): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries++) {
      const alone = await verdicts(name);
      if ([...alone.values()].join() === expected) return true;
    }
    return false;
  }

  test.skipIf(isMissing)(
    `every case passes but the known ones, and these fail${reason}`,
    async () => {
      const found = await verdicts();
      expect(found.size).toBe(CASES);
      const expected = (name: string) => (knownFailing.has(name) ? "failed" : "passed");
      const surprises: string[] = [];
      for (const name of new Set([...found.keys(), ...knownFailing.keys()])) {
        const verdict = found.get(name) ?? "unknown";
        if (verdict === expected(name)) continue;
        if (await isAsExpected(name, expected(name))) continue;
        surprises.push(`${name} ${verdict}`);
      }
      expect(surprises).toEqual([]);
    },
  );
});

/** h2spec's report is not well-formed, but regular: a line for each case, and what is wrong in it. */
function parseReport(report: string): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  const places = new Map<string, number>();
  const testCase = /<testcase package="([^"]*)"[^>]*>(?:<|\s*<(error|failure|skipped)>)/g;
  for (const [, section = "", wrong] of report.matchAll(testCase)) {
    const place = (places.get(section) ?? 0) + 1;
    places.set(section, place);
    const verdict = wrong === undefined ? "passed" : wrong === "skipped" ? "skipped" : "failed";
    verdicts.set(`${section}/${place}`, verdict);
  }
  return verdicts;
}
