/** The real prover is timed once, and a service that starts again remembers how fast it is. */
import { statSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { costFilePath } from "../../server/lane/costs/cost-file.js";
import { Site, until } from "./chaos-service.js";

let site: Site;
beforeEach(() => (site = new Site()));
afterEach(() => site.dispose());

/** Its log, of a service that was set up and then stopped. */
async function run(settings: Record<string, string> = {}): Promise<string[]> {
  const service = site.spawn({ LEAN_AGGREGATOR_STANDBY: "0", ...settings });
  const messages = () => service.log.map(({ msg }) => msg);
  await until(() => messages().includes("prover ready"));
  service.signal("SIGTERM");
  expect(await service.exited).toEqual({ code: 0, signal: null });
  return messages();
}

test("calibrated at the first start, before it takes work, and not at the second", async () => {
  const first = await run();
  expect(first).toContain("calibrated");
  expect(first.indexOf("calibrated")).toBeLessThan(first.indexOf("prover ready"));
  expect(statSync(costFilePath(site.folder, site.device)).mode & 0o777).toBe(0o600);
  const second = await run();
  expect(second).toContain("learned costs loaded");
  expect(second).not.toContain("calibrated");
  expect(await site.leftovers()).toEqual([]);
});

test("the fake prover is not timed, and nothing of it is kept", async () => {
  const log = await run({ LEAN_AGGREGATOR_PROVER: "fake" });
  expect(log).not.toContain("calibrated");
  expect(() => statSync(costFilePath(site.folder, site.device))).toThrow("ENOENT");
});
