/** The service id: configured, or kept in the state folder for each set of listen addresses. */
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { serviceIdOf, serviceIdPath } from "../../../cli/run/service-id.js";
import { parseConfig } from "../../../server/config/config.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const listen = ["127.0.0.1:9190", "unix:/run/nodes"];
let folder: string | undefined;
let warnings: unknown[];
let made: number;
beforeEach(() => {
  folder = temporaryFolder();
  warnings = [];
  made = 0;
});

function idOf(config: { serviceId?: string | undefined; listen?: string[] } = {}) {
  const quiet = () => undefined;
  const warn = (line: unknown) => warnings.push(line);
  return serviceIdOf(
    { serviceId: undefined, listen, ...config },
    {
      log: { debug: quiet, info: quiet, warn, error: quiet },
      stateFolder: () => folder,
      random: () => `id-${++made}`,
    },
  );
}

test("the id is made once and kept, in a file for this user only", async () => {
  expect([await idOf(), await idOf()]).toEqual(["id-1", "id-1"]);
  const path = serviceIdPath(folder ?? "", listen);
  expect(readFileSync(path, "utf8")).toBe("id-1\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("services on other addresses have other ids; the order of addresses is no matter", async () => {
  expect(await idOf({ listen: ["127.0.0.1:9191"] })).not.toBe(await idOf());
  expect(await idOf({ listen: [...listen].reverse() })).toBe(await idOf());
});

test("a configured id wins, and nothing is kept", async () => {
  expect(await idOf({ serviceId: "aggregator-0" })).toBe("aggregator-0");
  expect(await idOf()).toBe("id-1");
});

test.each(["", "two words\n", "x".repeat(65), "x".repeat(1000)])(
  "a file with %j has no id, and is replaced",
  async (text) => {
    const path = serviceIdPath(folder ?? "", listen);
    writeFileSync(path, text);
    expect([await idOf(), await idOf()]).toEqual(["id-1", "id-1"]);
  },
);

test("where the system chooses the port, or without a folder, the id is new each time", async () => {
  const chosen = { listen: ["127.0.0.1:0"] };
  expect([await idOf(chosen), await idOf(chosen)]).toEqual(["id-1", "id-2"]);
  folder = undefined;
  expect([await idOf(), await idOf()]).toEqual(["id-3", "id-4"]);
  expect(warnings).toEqual([]);
});

test.skipIf(process.getuid?.() === 0)("a file that cannot be written is one warning", async () => {
  chmodSync(folder ?? "", 0o500);
  expect(await idOf()).toMatch(/^id-/);
  expect(warnings).toMatchObject([{ path: serviceIdPath(folder ?? "", listen) }]);
});

test("a setting that is no id is refused", () => {
  expect(() => parseConfig({ serviceId: "two words" })).toThrow(/expected 1 to 64 characters/);
});
