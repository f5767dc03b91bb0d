/** The examples for curl and grpcurl, against the fake prover that accepts any signatures. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { startTestService } from "../helpers/start-service.js";
import {
  GRPCURL,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcurl,
  mustRun,
  run,
} from "./interop-tools.js";

let service: Service;
const address = () => service.addresses[0] ?? "";

beforeAll(async () => {
  service = await startTestService(() =>
    startFakeProver({ accepts: "any", proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
});
afterAll(() => service.close());

function expectAllSteps(printed: string): void {
  expect(printed).toMatch(/^SubmitSnapshot: .*"accepted"/s);
  expect(printed).toMatch(/GetSession: .*"OUTCOME_STATUS_PROVED".*"proved": ?1/s);
  expect(printed).toMatch(/GetServerInfo: .*"serverVersion"/s);
}

const noCurl = !hasProgram("curl", "--version");
test.skipIf(noCurl)(`curl.sh${noCurl ? " (skipped: no curl)" : ""}`, async () => {
  expectAllSteps(await mustRun("examples/curl.sh", [address()]));
});

test.skipIf(noCurl)(`curl.sh prints a refusal${noCurl ? " (skipped: no curl)" : ""}`, async () => {
  const other = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  try {
    const { code, stdout, stderr } = await run("examples/curl.sh", [other.addresses[0] ?? ""]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain('"invalid_argument"');
    expect(stderr).toMatch(/^SubmitSnapshot: .* none of the 4 signatures has the 64 of fake/m);
  } finally {
    await other.close();
  }
});

const noGrpcurl = !existsSync(GRPCURL) && !hasProgram("go", "serverVersion");
const reason = noGrpcurl ? " (skipped: neither out/bin/grpcurl nor go is there)" : "";
test.skipIf(noGrpcurl)(
  `grpcurl.sh${reason}`,
  async () => {
    await installGrpcurl();
    expectAllSteps(await mustRun("examples/grpcurl.sh", [address()], { env: { GRPCURL } }));
  },
  INSTALL_TIMEOUT_MS,
);
