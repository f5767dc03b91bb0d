/** Doors and lane hosts one version apart, as processes over a real engine. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mixedFleet } from "../../../tools/two-versions/mixed-fleet.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

/** A copy of this checkout whose messages have the next version, and a field that this one lacks. */
function nextVersion(): string {
  const folder = temporaryFolder();
  for (const name of ["dist", "package.json"]) {
    cpSync(name, join(folder, name), { recursive: true });
  }
  for (const name of ["node_modules", "build"]) {
    symlinkSync(join(process.cwd(), name), join(folder, name));
  }
  const edit = (file: string, from: string, to: string) => {
    const path = join(folder, "dist/server/fleet/wire", file);
    const text = readFileSync(path, "utf8");
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
  };
  edit("messages.js", "FLEET_VERSION = 1", "FLEET_VERSION = 2");
  // Field 31, of two bytes, after those of each message.
  edit(
    "codec/fields.js",
    "return writer.finish();",
    "return writer.tag(31, 0).uint32(7).finish();",
  );
  return folder;
}

test("a door and a lane host of each version work together, and one adopts what the other began", async () => {
  const { votes, proved, doubled, proofs, used, adopted } = await mixedFleet(nextVersion());
  expect({ proved, doubled, used }).toEqual({ proved: votes, doubled: 0, used: [2, 2] });
  expect(Math.min(...proofs)).toBeGreaterThan(0);
  expect(adopted).toBeGreaterThan(0);
});
