/** What `package-lock.json` says of the packages that `npm ci` installs. */
import { z } from "zod";

export interface LockedPackage {
  name: string;
  version: string;
  /** SPDX expression, as the package's author states it; empty when it states none. */
  licence: string;
  /** Empty when the lock file has none. */
  integrity: string;
  /** Installed with `--omit=dev` too. */
  isShipped: boolean;
}

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      license: z.string().default(""),
      integrity: z.string().default(""),
      dev: z.boolean().default(false),
    }),
  ),
});

/** Every package but the project itself. */
export function parseLockFile(text: string): LockedPackage[] {
  const { packages } = lockFile.parse(JSON.parse(text));
  return Object.entries(packages).flatMap(([path, { version, license, integrity, dev }]) => {
    if (path === "") return [];
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return [{ name, version: version ?? "", licence: license, integrity, isShipped: !dev }];
  });
}
