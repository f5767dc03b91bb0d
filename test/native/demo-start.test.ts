/** The demo's service with a library that cannot be used: the demo ends, and says why. */
import { readdirSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { startDemoService } from "../../cli/demo/served.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

afterEach(() => vi.unstubAllEnvs());

test("a library that is missing ends the demo with its name, and its service with it", async () => {
  const [folder, runtimeDir] = [temporaryFolder(), temporaryFolder()];
  vi.stubEnv("TMPDIR", folder);
  const device = { id: "cpu", backend: { library: "/no/library.so", config: "" } };
  const flags = [
    ...["--listen", "127.0.0.1:0", "--probes", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    ...["--runtime-dir", runtimeDir, "--devices", JSON.stringify([device])],
  ];
  const start = startDemoService(flags, AbortSignal.timeout(20_000));
  await expect(start).rejects.toThrow(
    /^the service cannot prove: cannot load \/no\/library\.so: .*; run 'lean-aggregator doctor'$/,
  );
  expect(readdirSync(folder)).toEqual([]);
});
