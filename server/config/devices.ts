/** Settings of the devices, the same for every command that proves. */
import { z } from "zod";
import { folder, ms, oneOf, whole, addressText } from "./kinds.js";
import { JsonError, parseJsonText } from "../json/json-text.js";
import { defaults, limits } from "../limits.js";
import { logLevels } from "../log/log.js";
import { deviceSchema, overlappingDevices } from "../prover/device/device.js";
import { fakeLimitsSchema } from "../prover/fake/fake-limits.js";
import { fakeFailuresSchema, fakeTimeSchema } from "../prover/fake/fake-plan.js";

/** Text to a list of devices: `a,b` names two devices with defaults; `[` begins a list in JSON. */
function deviceList(value: unknown, context: z.RefinementCtx): unknown {
  if (typeof value !== "string") return value;
  if (value.trimStart().startsWith("[")) {
    try {
      return parseJsonText(value.trim());
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      context.addIssue({ code: "custom", message: `the list ${error.message}` });
      return z.NEVER;
    }
  }
  if (value.trimStart().startsWith("{")) return value; // the same: JSON, but no list
  return value.split(",").map((id) => ({ id: id.trim() }));
}
const devices = (orNone: string) =>
  `expected 1 to ${limits.devicesMax} devices${orNone}: names separated by commas, ` +
  'or a JSON list such as [{"id": "gpu0", "cores": "0-3"}]';
const nameOrDevice = z.preprocess(
  (value) => (typeof value === "string" ? { id: value } : value),
  deviceSchema,
);

/** Address of /metrics, /livez and /readyz, or "off": plain HTTP, open to every caller. */
export const probes = addressText({ mayBeOff: true }).default("127.0.0.1:9191");

/** A list of devices. With `mayBeNone` it may be empty, which is "none" as a text. */
export function devicesSetting({ mayBeNone }: { mayBeNone: boolean }) {
  const expected = devices(mayBeNone ? ', or "none"' : "");
  return z
    .preprocess(
      (value, context) => (mayBeNone && value === "none" ? [] : deviceList(value, context)),
      z
        .array(nameOrDevice, expected)
        .min(mayBeNone ? 0 : 1, expected)
        .max(limits.devicesMax, expected),
    )
    .superRefine((given, context) => {
      if (given.some(({ id }) => id === "none")) {
        const message = 'a device is named "none", which means no device: give it another name';
        context.addIssue({ code: "custom", message });
      }
      const overlap = overlappingDevices(given);
      if (overlap !== undefined) context.addIssue({ code: "custom", message: overlap });
    })
    .prefault(["cpu"]);
}

export const deviceSettings = {
  /** Devices to prove on: names, or objects such as `{"id": "gpu0", "cores": "0-3"}`. */
  devices: devicesSetting({ mayBeNone: false }),
  /** "lean_pq" is the real prover; "fake" simulates proofs and marks them as fake. */
  prover: oneOf(["lean_pq", "fake"]).default("lean_pq"),
  /**
   * Which keys and signatures the fake prover takes: its "own" form, or "any", of any size and
   * unchecked. Default: own.
   */
  fakeAccepts: oneOf(["own", "any"]).optional(),
  /** Time of a simulated proof, in milliseconds: 200, 100-900 or 100+4/raw+60/child. Default: 200. */
  fakeTime: fakeTimeSchema.optional(),
  /** Seed of random times. Default: 1. */
  fakeSeed: whole("numbers", 0, 2 ** 32 - 1).optional(),
  /** Which simulated proofs fail, and how: `error:10` fails every 10th. Default: none. */
  fakeFailures: fakeFailuresSchema.optional(),
  /** What the fake prover's folds may have: `raws:400,children:16,arities:2+4`. Default: anything. */
  fakeLimits: fakeLimitsSchema.optional(),
  /** Time for running proofs to end at shutdown, in milliseconds. */
  drainMs: ms(60_000).default(defaults.drainMs),
  /** Standbys for each device: 0, 1, or auto, which is 1 when there is enough memory. */
  standby: oneOf(["auto", "0", "1"]).default("auto"),
  /**
   * Megabytes of resident memory: no proof starts that is predicted to take more, and a prover that
   * holds more is replaced between two proofs. Default: half of the memory, shared by the devices, and at
   * least 3000.
   */
  proverMemoryMb: whole("megabytes", 256, 1_000_000).optional(),
  /**
   * Percent of a device's time, at most, for small proofs that refresh what it has learned of costs;
   * 0: none. They are made in idle time, where a standby is ready.
   */
  refreshPercent: whole("percent", 0, 10).default(defaults.refreshPercent),
  /**
   * Most raw signatures of one proof, where the backend takes more: a group with more becomes a tree
   * of proofs. 0: as many as the backend takes.
   */
  leafRawsMax: whole("raw signatures", 0, limits.validatorsMax).default(0),
  /**
   * Folder of the device locks. A lock holds only between services with the same folder. Default:
   * see `runtimeFolderOf`.
   */
  runtimeDir: folder.optional(),
  /** Folder of what was learned of the devices' speed. Default: see `stateFolderOf`. */
  stateDir: folder.optional(),
  /**
   * Folder in which the calls are kept in which provers died, for `conformance --replay`. Default:
   * none are kept.
   */
  keepFatal: folder.optional(),
  /** Lowest level that is logged. */
  logLevel: oneOf(logLevels).default("info"),
};

type DeviceConfig = z.infer<z.ZodObject<typeof deviceSettings>>;

/** Adds an issue for each setting of the fake prover that has no use. */
export function checkFake(
  config: DeviceConfig,
  problem: (key: keyof DeviceConfig, message: string) => void,
): void {
  for (const key of [
    "fakeAccepts",
    "fakeTime",
    "fakeSeed",
    "fakeFailures",
    "fakeLimits",
  ] as const) {
    if (config.prover === "fake" || config[key] === undefined) continue;
    problem(key, `only the fake prover takes it: set {prover} to fake, or leave {${key}} out`);
  }
  const { fakeTime, fakeSeed, devices } = config;
  const odd = devices.find(({ fake }) => config.prover !== "fake" && fake !== undefined);
  if (odd !== undefined) {
    const what = `device ${odd.id} has "fake", which only the fake prover takes`;
    problem("devices", `${what}: set {prover} to fake, or leave it out`);
  }
  const sized = devices.find(({ fake }) => fake?.publicKeyBytes ?? fake?.signatureBytes);
  if (sized !== undefined && config.fakeAccepts === "any") {
    const what = `device ${sized.id} has sizes in "fake"`;
    problem("devices", `${what}, but {fakeAccepts} is any: leave one of them out`);
  }
  if (config.prover !== "fake" || fakeSeed === undefined) return;
  const times = [fakeTime, ...devices.map(({ fake }) => fake?.time)];
  if (times.every((time) => time === undefined || time.minMs === time.maxMs)) {
    problem("fakeSeed", "no time is random: set {fakeTime} to a range such as 100-900");
  }
}
