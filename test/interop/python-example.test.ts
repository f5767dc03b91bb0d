/** The example in Python, against a served fake prover that accepts any keys and signatures. */
import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAIN } from "../helpers/command-line.js";
import { ServedPlace } from "../rpc/serve/served.js";
import {
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcio,
  mustRun,
  VENV_PYTHON,
} from "./interop-tools.js";

const isMissing = !hasProgram("python3", "-c", "import venv, ensurepip");
const reason = isMissing ? " (skipped: no python3 with venv)" : "";

const place = new ServedPlace();
let stop = () => {};

beforeAll(async () => {
  if (isMissing) return;
  await installGrpcio();
  const args = [MAIN, "serve", ...place.flags, "--fake-accepts", "any", "--fake-time", "50"];
  const served = spawn(process.execPath, args, { stdio: "ignore" });
  stop = () => void served.kill("SIGTERM");
  await place.ready();
}, INSTALL_TIMEOUT_MS);
afterAll(() => stop());

test.skipIf(isMissing)(`the example prints how its group ended${reason}`, async () => {
  const printed = await mustRun(VENV_PYTHON, ["examples/python/aggregate.py", place.nodes]);
  expect(printed).toBe("group 0: OUTCOME_STATUS_PROVED, 32 of 32 votes, 1060 bytes of proof\n");
});
