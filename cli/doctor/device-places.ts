/** Checks the devices' users and cache folders against this machine. Looks only. */
import type { Config } from "../../server/config/config.js";
import type { Problem } from "../../server/config/config-error.js";
import { ConfigError } from "../../server/config/config-error.js";
import { cacheFolderProblem } from "../../server/prover/device/cache-folder.js";

/**
 * Throws `ConfigError` with each user and cache folder of a device that cannot be used here. The
 * fake prover uses none.
 *
 * @param uid user id of the service; undefined on a system without user ids
 */
export function checkDevicePlaces(
  { prover, devices }: Pick<Config, "prover" | "devices">,
  uid: number | undefined,
): void {
  if (prover === "fake") return;
  const problems = devices.flatMap(({ user, cacheFolder }, at): Problem[] => {
    if (user !== undefined && uid !== 0) {
      const text = "is set, which only root may: remove it, or run as root";
      return [{ key: "devices", place: `[${at}].user`, text }];
    }
    const why = cacheFolder === undefined ? undefined : cacheFolderProblem(cacheFolder, user);
    if (why === undefined) return [];
    const text = `is ${JSON.stringify(cacheFolder)}: ${why}`;
    return [{ key: "devices", place: `[${at}].cacheFolder`, text }];
  });
  if (problems.length > 0) throw new ConfigError(problems);
}
