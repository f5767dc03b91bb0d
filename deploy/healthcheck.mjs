/**
 * The image's HEALTHCHECK. Exits with 0 while the container's process answers, ready or not. It asks
 * /livez of the probes, which a service and a lane host both have, at LEAN_AGGREGATOR_PROBES. Where
 * that is off, it makes the check of `lean-aggregator health --live`, at LEAN_AGGREGATOR_SERVER.
 */
import { spawnSync } from "node:child_process";
import { get } from "node:http";
import { fileURLToPath } from "node:url";

const UNIX = "unix:";
/** An empty variable is not set. */
const probes = process.env.LEAN_AGGREGATOR_PROBES || "127.0.0.1:9191";

if (probes === "off") {
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const { status } = spawnSync(process.execPath, [main, "health", "--live"], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} else {
  const at = probes.startsWith(UNIX)
    ? { socketPath: probes.slice(UNIX.length), path: "/livez" }
    : `http://${probes}/livez`;
  get(at, ({ statusCode }) => {
    console.log(`${probes}: /livez answers ${statusCode}`);
    process.exit(statusCode === 200 ? 0 : 1);
  }).on("error", ({ message }) => {
    console.log(`${probes}: /livez does not answer: ${message}`);
    process.exit(1);
  });
}
