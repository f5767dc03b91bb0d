/**
 * `serve` with a fake prover whose proofs take a millisecond, so that nearly all of the load is
 * proved. The service itself has no such setting: only tests need it.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import { systemClock } from "../../../server/clock.js";
import { addSettingsOptions, readSettings } from "../../../cli/run/settings.js";
import { createLog } from "../../../server/log/log.js";
import { readMachine } from "../../../server/machine/machine.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { startService } from "../../../server/service.js";

const command = addSettingsOptions(new Command());
const config = readSettings({ flags: command.parse().opts(), env: process.env, file: undefined });
const startProver = () =>
  startFakeProver({ proveMs: () => 1, sleep: (ms) => delay(ms, undefined) });
const service = await startService(config, {
  clock: systemClock,
  log: createLog(config.logLevel),
  devices: config.devices.map(({ id }) => ({ id, startProver })),
  policy: undefined,
  readMachine,
  serviceId: "bench",
  instance: randomBytes(8).toString("hex"),
  version: "load",
});
process.once("SIGTERM", () => void service.close().then(() => process.exit(0)));
