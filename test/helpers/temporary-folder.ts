/** Folders of one test file, removed when all of its tests are over. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const folders: string[] = [];

// Every test file evaluates this module anew, and before its own hooks: so this one runs last.
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder. In a run of vitest only: nobody else would remove it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lean-test-"));
  folders.push(folder);
  return folder;
}
