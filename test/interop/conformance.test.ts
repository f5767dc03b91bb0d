/**
 * Connect's conformance suite, with its reference client, against the service's HTTP and RPC layers:
 * every protocol over HTTP/1.1 and HTTP/2, in plain text and over TLS. What the service does not
 * offer is in `conformance/config.yaml`, what fails is in `conformance/known-failing.txt`.
 */
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  CONFORMANCE,
  CONFORMANCE_DESCRIPTORS,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installConformance,
  run,
} from "./interop-tools.js";
import { readKnownFailing } from "./known-failing.js";

const SERVER = "dist/test/interop/conformance/conformance-server.js";
const KNOWN_FAILING = "test/interop/conformance/known-failing.txt";
/** All that this version has for the features in the configuration. */
const CASES = 1377;
/** Cases that are run again, alone, before they count: a loaded machine is late for some deadlines. */
const RERUN_MAX = 20;

const isMissing = !existsSync(CONFORMANCE_DESCRIPTORS) && !hasProgram("go", "version");
const reason = isMissing ? " (skipped: no go to build the runner with)" : "";

interface Outcome {
  cases: number;
  /** Passed, or failed as the exceptions say. */
  asExpected: number;
  /** Names of cases that failed, or passed although they are exceptions. */
  surprises: string[];
  printed: string;
}

describe(`Connect's conformance${reason}`, () => {
  beforeAll(async () => {
    if (isMissing) return;
    if (!existsSync(SERVER)) throw new Error(`${SERVER} is missing; run 'make build'`);
    await installConformance();
  }, INSTALL_TIMEOUT_MS);

  test.skipIf(isMissing)(
    `every case passes but the known ones, and these fail${reason}`,
    async () => {
      // Each exception has its reason.
      expect(readKnownFailing(KNOWN_FAILING).size).toBeGreaterThan(0);
      const first = await runSuite();
      expect(first.cases, first.printed).toBe(CASES);
      expect(first.asExpected + first.surprises.length, first.printed).toBe(CASES);
      if (first.surprises.length === 0) return;
      expect(first.surprises.length, first.printed).toBeLessThanOrEqual(RERUN_MAX);
      const again = await runSuite(...first.surprises);
      expect(again.surprises, again.printed).toEqual([]);
      expect(again.asExpected, again.printed).toBe(first.surprises.length);
    },
  );
});

/** Runs all cases, or some. */
async function runSuite(...cases: string[]): Promise<Outcome> {
  const { stdout, stderr } = await run(CONFORMANCE, [
    ...["--mode", "server", "--conf", "test/interop/conformance/config.yaml"],
    ...["--known-failing", `@${KNOWN_FAILING}`, "--trace", "--max-servers", "2"],
    ...cases.flatMap((name) => ["--run", name]),
    ...["--", process.execPath, SERVER, CONFORMANCE_DESCRIPTORS],
  ]);
  const printed = `${stdout}${stderr}`;
  const count = (pattern: RegExp) => Number(pattern.exec(printed)?.[1] ?? 0);
  const failed = /^FAILED: (.*?)(?::| was expected to fail but did not)$/gm;
  return {
    cases: count(/^Total cases: (\d+)$/m),
    asExpected: count(/^(\d+) passed, /m) + count(/^\(Another (\d+) failed as expected/m),
    surprises: [...printed.matchAll(failed)].map(([, name = ""]) => name),
    printed,
  };
}
