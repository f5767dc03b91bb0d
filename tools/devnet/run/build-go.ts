/** Builds the adapter of mode `go`. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { GO_PROGRAM } from "../node/aggregators/go-adapter.js";

/** Throws where there is no Go toolchain, or the module does not build. */
export function buildGoAdapter(): void {
  const build = ["build", "-o", resolve(GO_PROGRAM), "./cmd/leanagg-devnet"];
  const { error, status } = spawnSync("go", build, {
    cwd: "clients/go",
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error !== undefined)
    throw new Error(
      `MODES has go, but there is no Go toolchain here (${error.message}); install Go 1.24 or newer, or leave go out of MODES`,
    );
  if (status !== 0)
    throw new Error("MODES has go, but clients/go does not build; go's words are above");
}
