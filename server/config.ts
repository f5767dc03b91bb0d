/**
 * The settings of the command `serve`. A flag wins over an environment variable, that over the
 * settings file, that over the default. All errors are reported at once, each with the value and
 * what was expected.
 */
import { z } from "zod";
import { ConfigError } from "./config-error.js";
import type { Problem } from "./config-error.js";
import { checkEngine, engineSettings } from "./engine/engine-settings.js";
import { TOKEN_EXPECTED, tokenPattern } from "./engine/subject.js";
import { ID_EXPECTED, idPattern } from "./id.js";
import { JsonError, parseJsonText } from "./json-text.js";
import { defaults, limits } from "./limits.js";
import { logLevels } from "./log.js";
import { EXPECTED, isLocalAddress, readAddress, writeAddress } from "../proto/address.js";
import { isLocal, overlap } from "./net/address.js";
import { deviceSchema, overlappingDevices } from "./prover/device.js";
import { fakeFailuresSchema, fakeTimeSchema } from "./prover/fake-plan.js";
import { alternatives, placeOf, safeParse } from "./safe-parse.js";

/** An address of the service, in the one form of `writeAddress`. */
const addressText = (of: { mayBeOff: boolean; mustBeLocal?: boolean }) => {
  const { mayBeOff, mustBeLocal = false } = of;
  const form = `expected ${mustBeLocal ? "a loopback host:port" : "host:port"}`;
  const expected = mayBeOff ? `${form}, unix:/path or "off"` : EXPECTED;
  return z.string(expected).transform((text, context) => {
    if (mayBeOff && text === "off") return text;
    const address = readAddress(text);
    if (address.kind === "problem") {
      const message = address.text === EXPECTED ? expected : address.text;
      context.addIssue({ code: "custom", message });
    } else if (mustBeLocal && !isLocalAddress(address)) {
      context.addIssue({ code: "custom", message: expected });
    } else {
      return writeAddress(address);
    }
    return z.NEVER;
  });
};
const address = addressText({ mayBeOff: false });
/** Most characters of a value that an error quotes. */
const VALUE_LENGTH_MAX = 100;
const list = (value: unknown) =>
  typeof value === "string" ? value.split(",").map((part) => part.trim()) : value;
const hostNames = 'expected host names without a port, such as "fleet.example"';
const hostName = z
  .string(hostNames)
  .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, hostNames)
  .toLowerCase();
const path = z.string("expected the path of a file").min(1, "expected the path of a file");
const oneOf = <const T extends readonly string[]>(names: T) =>
  z.enum(names, `expected ${alternatives(names)}`);
/** True or false: flags and JSON give a boolean, variables a text. */
const yesOrNo = z
  .union([z.boolean(), z.enum(["true", "false"])], "expected true or false")
  .transform((value) => String(value) === "true");
const bits = 'expected permission bits in octal, such as "0660"';
const octal = z
  .string(bits)
  .regex(/^0?[0-7]{3}$/, bits)
  .transform((text) => Number.parseInt(text, 8));
/** A whole number from `min` to `max`, also as text: flags and variables are text. */
const whole = (unit: string, min: number, max: number) => {
  const expected = `expected whole ${unit} from ${min} to ${max}`;
  const issue = { error: expected, abort: true };
  return z.coerce.number(issue).int(issue).min(min, issue).max(max, issue);
};
const ms = (max: number) => whole("milliseconds", 1, max);
const addresses = "expected addresses, host:port or unix:/path, as a list or separated by commas";

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
const devices =
  `expected 1 to ${limits.devicesMax} devices: names separated by commas, ` +
  'or a JSON list such as [{"id": "gpu0", "cores": "0-3"}]';
const group = "expected the name or number of a group";
const folder = "expected the absolute path of a folder";
const id = `expected ${ID_EXPECTED}`;
const nameOrDevice = z.preprocess(
  (value) => (typeof value === "string" ? { id: value } : value),
  deviceSchema,
);

const settings = z.strictObject({
  /**
   * Addresses where nodes call, over gRPC, gRPC-Web, Connect or JSON. TCP addresses that other
   * machines can reach need TLS.
   */
  listen: z
    .preprocess(list, z.array(address, addresses).min(1, addresses))
    .default(["127.0.0.1:9190"]),
  /** Address where the operator calls, or "off". Without a policy, every caller may do all. */
  admin: addressText({ mayBeOff: true, mustBeLocal: true }).default("127.0.0.1:9192"),
  /** Address of /metrics, /livez and /readyz, or "off": plain HTTP, open to every caller. */
  probes: addressText({ mayBeOff: true }).default("127.0.0.1:9191"),
  /**
   * Names, besides loopback names and IP addresses, that browsers and proxies may call loopback
   * addresses by. Others are refused: a page of another site could call by its own name.
   */
  allowedHosts: z.preprocess(list, z.array(hostName, hostNames)).default([]),
  /** PEM file: the certificate of the TCP addresses in `listen`, then its chain. */
  tlsCertificate: path.optional(),
  /** PEM file: the private key of the certificate, without a passphrase. */
  tlsKey: path.optional(),
  /** PEM file: authorities of client certificates. When set, every client over TLS needs one. */
  tlsClientCa: path.optional(),
  /**
   * Allows plain text to other machines, for `listen` and `engine`: the network can read and change
   * all.
   */
  insecurePlaintextOnNetwork: yesOrNo.default(false),
  /** Permission bits of Unix sockets, except the operator's: a user that may write may call. */
  socketMode: octal.prefault(defaults.socketMode),
  /** Group of the same Unix sockets: a name or a number. Default: the group of the process. */
  socketGroup: z.string(group).min(1, group).optional(),
  /** JSON file that says who may do what; polled. Default: every caller may do everything. */
  policy: path.optional(),
  /** Devices to prove on: names, or objects such as `{"id": "gpu0", "cores": "0-3"}`. */
  devices: z
    .preprocess(
      deviceList,
      z.array(nameOrDevice, devices).min(1, devices).max(limits.devicesMax, devices),
    )
    .superRefine((given, context) => {
      const overlap = overlappingDevices(given);
      if (overlap !== undefined) context.addIssue({ code: "custom", message: overlap });
    })
    .prefault(["cpu"]),
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
  ...engineSettings,
  /** Deadline of snapshots that have none, in milliseconds from receipt. */
  deadlineMs: ms(limits.deadlineMsMax).default(defaults.deadlineMs),
  /** Fence of snapshots that have none, in milliseconds from receipt. */
  fenceMs: ms(limits.fenceMsMax).default(defaults.fenceMs),
  /** Time for running proofs to end at shutdown, in milliseconds. */
  drainMs: ms(60_000).default(defaults.drainMs),
  /** Standbys for each device: 0, 1, or auto, which is 1 when there is enough memory. */
  standby: oneOf(["auto", "0", "1"]).default("auto"),
  /** Megabytes: a prover with more resident memory is replaced between two proofs. */
  proverMemoryMb: whole("megabytes", 256, 1_000_000).default(defaults.proverMemoryMb),
  /**
   * Folder of the device locks. A lock holds only between services with the same folder. Default:
   * see `runtimeFolderOf`.
   */
  runtimeDir: z.string(folder).regex(/^\//, folder).optional(),
  /** Folder of what was learned of the devices' speed. Default: see `stateFolderOf`. */
  stateDir: z.string(folder).regex(/^\//, folder).optional(),
  /**
   * Names the service over all its runs, as a pod's name does. Default: an id that is kept in the
   * state folder for these addresses in `listen`.
   */
  serviceId: z.string(id).regex(idPattern, id).optional(),
  /** Lowest level that is logged. */
  logLevel: oneOf(logLevels).default("info"),
});

/** Adds rules about several settings. Messages name a setting as in `Problem`: `{tlsKey}`. */
const schema = settings.superRefine((config, context) => {
  const { tlsCertificate, tlsKey, tlsClientCa } = config;
  const problem = (key: keyof typeof config, message: string) => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  checkOverlaps(config, problem);
  checkFake(config, problem);
  checkEngine(config, problem);
  const { engine, serviceId } = config;
  if (engine.length > 0 && serviceId !== undefined && !tokenPattern.test(serviceId)) {
    problem("serviceId", `names this door to {engine}: expected ${TOKEN_EXPECTED}`);
  }
  if (config.fenceMs < config.deadlineMs) {
    const order = `must not be before the deadline: {deadlineMs} is ${config.deadlineMs}`;
    problem("fenceMs", `${order}; set {fenceMs} to ${config.deadlineMs} or more`);
  }
  if (tlsCertificate !== undefined && tlsKey === undefined) {
    problem("tlsKey", "name the private key of {tlsCertificate}");
  }
  if (tlsCertificate === undefined) {
    if (tlsKey !== undefined) problem("tlsCertificate", "name the certificate of {tlsKey}");
    else if (tlsClientCa !== undefined) {
      problem("tlsClientCa", "needs TLS: set {tlsCertificate} and {tlsKey}");
    }
    if (config.insecurePlaintextOnNetwork) return;
    const plain =
      "other machines can reach it in plain text: use a loopback address or a Unix socket, " +
      "or set {tlsCertificate} and {tlsKey}";
    if (!config.listen.every(isLocal)) problem("listen", plain);
  } else if (config.policy === undefined && !config.listen.every(isLocal)) {
    problem("policy", "other machines can call: name a policy file that says who may do what");
  }
});

/** Adds an issue for each address that needs a port or path which another address takes. */
function checkOverlaps(
  { listen, admin, probes }: z.infer<typeof settings>,
  problem: (key: "listen" | "admin" | "probes", message: string) => void,
): void {
  const taken: { key: string; address: string }[] = [];
  const take = (key: "listen" | "admin" | "probes", address: string) => {
    if (address === "off") return;
    const other = taken.find((each) => overlap(each.address, address));
    if (other === undefined) taken.push({ key, address });
    else {
      const which = other.key === key ? `${other.address} in the same list` : `{${other.key}}`;
      const what = address.startsWith("unix:") ? "path" : "port";
      problem(key, `${address} and ${which} need the same ${what}: choose another ${what}`);
    }
  };
  for (const address of listen) take("listen", address);
  take("probes", probes);
  take("admin", admin);
}

/** Adds an issue for each setting of the fake prover that has no use. */
function checkFake(
  config: z.infer<typeof settings>,
  problem: (key: keyof typeof config, message: string) => void,
): void {
  for (const key of ["fakeAccepts", "fakeTime", "fakeSeed", "fakeFailures"] as const) {
    if (config.prover === "fake" || config[key] === undefined) continue;
    problem(key, `only the fake prover takes it: set {prover} to fake, or leave {${key}} out`);
  }
  const { fakeTime, fakeSeed } = config;
  if (config.prover !== "fake" || fakeSeed === undefined) return;
  if (fakeTime === undefined || fakeTime.minMs === fakeTime.maxMs) {
    problem("fakeSeed", "no time is random: set {fakeTime} to a range such as 100-900");
  }
}

export type Config = z.infer<typeof schema>;

/** Merges the sources, of which a later one wins. Throws `ConfigError` with every error. */
export function parseConfig(...sources: readonly Record<string, unknown>[]): Config {
  // Not by assignment: a key "__proto__" in a file would set the prototype of the whole.
  const given = sources.flatMap((source) => Object.entries(withoutUndefined(source)));
  const merged: Record<string, unknown> = Object.fromEntries(given);
  const parsed = safeParse(schema, merged);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.flatMap((issue) => problemsOf(issue, merged)));
  }
  return parsed.data;
}

function problemsOf(issue: z.core.$ZodIssue, merged: Record<string, unknown>): Problem[] {
  const [root, ...below] = issue.path;
  if (issue.code === "unrecognized_keys") {
    const within: unknown = root === undefined ? merged : issue.input;
    return issue.keys.map((name) => {
      const path = [...issue.path, name];
      const value = typeof within === "object" && within !== null ? Reflect.get(within, name) : "";
      const text = `is ${shown(value)}: there is no such setting`;
      return { key: String(path[0]), place: placeOf(path.slice(1)), text };
    });
  }
  const key = String(root ?? "the settings");
  // When a list was given as one text, the user knows no index: the quoted part is enough.
  const isPart = typeof merged[key] === "string" && below.length === 1;
  const value = below.length === 0 ? merged[key] : issue.input;
  const is = value === undefined ? "is not given" : `is ${shown(value)}`;
  return [{ key, place: isPart ? "" : placeOf(below), text: `${is}: ${issue.message}` }];
}

/** The value as JSON, cut to `VALUE_LENGTH_MAX` characters, without the password of a URL. */
function shown(value: unknown): string {
  const text = (JSON.stringify(value) ?? String(value)).replace(/:\/\/[^/,"]*@/g, "://…@");
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

/** The environment variable of a setting: `LEAN_AGGREGATOR_DEADLINE_MS` for `deadlineMs`. */
export function variableOf(key: string): string {
  return `LEAN_AGGREGATOR_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** The names of all settings. */
export const settingKeys: readonly string[] = Object.keys(schema.shape);

/** The settings in environment variables, undefined where not set: a source for `parseConfig`. */
export function configFromEnvironment(env: Record<string, string | undefined>) {
  return Object.fromEntries(settingKeys.map((key) => [key, env[variableOf(key)]]));
}

function withoutUndefined(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}
