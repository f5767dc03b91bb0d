/**
 * Checks the settings against the file system: sockets' folders, the group of the sockets, and the
 * engine's certificates.
 */
import type { Problem } from "./config-error.js";
import { ConfigError } from "./config-error.js";
import type { Config } from "./config.js";
import { checkEngineFiles } from "../engine/engine-files.js";
import type { EngineSettings } from "../engine/engine-settings.js";
import { addressOf } from "../net/address.js";
import { groupProblem } from "../net/unix-socket.js";
import { socketPlaceProblem } from "../net/socket-place.js";

/** Those of a service, or the fewer of a lane host. */
type Places = EngineSettings &
  Pick<Config, "probes"> &
  Partial<Pick<Config, "listen" | "admin" | "socketGroup">>;

/** Throws `ConfigError` with each socket that cannot be made, and each invalid certificate. */
export function checkPlaces(config: Places): void {
  const { listen = [], admin = "off", probes, socketGroup } = config;
  const problems: Problem[] = [];
  const check = (key: string, text: string) => {
    const address = text === "off" ? undefined : addressOf(text);
    if (address?.kind !== "unix") return;
    const wrong = socketPlaceProblem(address.path);
    if (wrong === undefined) return;
    const { why, todo } = wrong;
    problems.push({ key, text: `is ${JSON.stringify(text)}: ${why}; ${todo}` });
  };
  for (const address of listen) check("listen", address);
  check("admin", admin);
  check("probes", probes);
  const wrongGroup = socketGroup === undefined ? undefined : groupProblem(socketGroup);
  if (wrongGroup !== undefined) {
    problems.push({ key: "socketGroup", text: `is ${JSON.stringify(socketGroup)}: ${wrongGroup}` });
  }
  problems.push(...checkEngineFiles(config).problems);
  if (problems.length > 0) throw new ConfigError(problems);
}
