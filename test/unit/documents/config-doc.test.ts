/** docs/operate/configuration.md is what the schema and the flags say; `make config-doc` writes it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { proveSettingKeys } from "../../../server/config/prove-config.js";
import { settingKeys } from "../../../server/config/config.js";
import { CONFIG_DOCUMENT, configDocument } from "../../../tools/config/config-doc.js";

const written = readFileSync(join(process.cwd(), CONFIG_DOCUMENT), "utf8");

test("the document of settings is up to date: if not, run 'make config-doc'", () => {
  expect(written).toBe(configDocument());
});

test("it has a row for every setting, with what it takes", () => {
  const section = written.split("\n## Settings\n")[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  const named = rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1]);
  expect(named.toSorted()).toEqual([...new Set([...settingKeys, ...proveSettingKeys])].toSorted());
  const deadline = rows.find((row) => row.startsWith("| `deadlineMs`"));
  expect(deadline).toContain("| whole milliseconds from 1 to 120000 | 750 |");
});
