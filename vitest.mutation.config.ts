import { defineConfig } from "vitest/config";

/** The mutation run: the language-neutral vectors alone against the adapter's machine. */
export default defineConfig({
  test: { include: ["test/unit/client/machine/vectors.test.ts"] },
});
