/**
 * The settings of the command `serve`. A flag wins over an environment variable, that over the
 * settings file, that over the default. All errors are reported at once, each with the value and
 * what was expected.
 */
import { z } from "zod";
import { checkFake, deviceSettings, devicesSetting, probes } from "./devices.js";
import { checkCollector, collectorUrl, DEFAULT_RATIO } from "./collector.js";
import { addressText, fraction, list, ms, oneOf, path, whole, yesOrNo } from "./kinds.js";
import { parseSettings, settingsIn } from "./parse.js";
import { checkEngine, engineSettings } from "../engine/engine-settings.js";
import { TOKEN_EXPECTED, tokenPattern } from "../engine/subject.js";
import { ID_EXPECTED, idPattern } from "../id.js";
import { defaults, limits } from "../limits.js";
import { isLocal, overlap } from "../net/address.js";
import { proofSystemNamed } from "../work/prover-description.js";
import { upgradeSetting } from "./upgrade-setting.js";

const address = addressText({ mayBeOff: false });
const hostNames = 'expected host names without a port, such as "fleet.example"';
const hostName = z
  .string(hostNames)
  .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, hostNames)
  .toLowerCase();
const bits = 'expected permission bits in octal, such as "0660"';
const octal = z
  .string(bits)
  .regex(/^0?[0-7]{3}$/, bits)
  .transform((text) => Number.parseInt(text, 8));
const addresses = "expected addresses, host:port or unix:/path, as a list or separated by commas";

const recordFolder = "expected the path of a folder";
const DEFAULT_CONTENT = "full";
const group = "expected the name or number of a group";
const id = `expected ${ID_EXPECTED}`;
const system = 'expected a scheme, or a scheme and a revision, such as "leanxmss py-lean-pq-0.7.0"';
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
  probes,
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
  /**
   * The proof system of requests that name none: a scheme, or a scheme and a revision after a space.
   * Default: that of the first device, else that of most lanes.
   */
  proofSystem: z
    .string(system)
    .regex(/^\S{1,64}( \S{1,64})?$/, system)
    .optional(),
  /** The next revision of that proof system, and from which slot it is the default. Default: none. */
  upgrade: upgradeSetting.optional(),
  /** Deadline of snapshots that have none, in milliseconds from receipt. */
  deadlineMs: ms(limits.deadlineMsMax).default(defaults.deadlineMs),
  /** Fence of snapshots that have none, in milliseconds from receipt. */
  fenceMs: ms(limits.fenceMsMax).default(defaults.fenceMs),
  ...deviceSettings,
  /** Devices of this service; with `engine` there may be none, when lane hosts prove alone. */
  devices: devicesSetting({ mayBeNone: true }),
  /**
   * Names the service over all its runs, as a pod's name does. Default: an id that is kept in the
   * state folder for these addresses in `listen`.
   */
  serviceId: z.string(id).regex(idPattern, id).optional(),
  ...engineSettings,
  /** File to which a line is added for each session, skip and act of an operator. Default: none. */
  audit: path.optional(),
  /**
   * Exports traces by OTLP over HTTP to this collector, such as `http://127.0.0.1:4318`; without a path,
   * to `/v1/traces`. Default: no traces.
   */
  otlp: collectorUrl.optional(),
  /** JSON file of headers for the collector, such as `{"authorization": "Bearer …"}`. */
  otlpHeaders: path.optional(),
  /** Share of the snapshots that are traced, of those whose caller sends no trace context. */
  otlpRatio: fraction.default(DEFAULT_RATIO),
  /** Folder in which requests and outcomes are recorded, for `replay`. Default: none are. */
  record: z.string(recordFolder).min(1, recordFolder).optional(),
  /** Most megabytes of a recording; then its oldest file goes. With less, its files hold too little. */
  recordMb: whole("megabytes", 16, 1_000_000).default(defaults.recordMb),
  /** `full`: requests as they came. `shapes`: without public keys, signatures and proofs. */
  recordContent: oneOf(["full", "shapes"]).default(DEFAULT_CONTENT),
  /**
   * Who verifies a proof of a lane host before it is delivered: another host than the one that made it,
   * or that one itself.
   */
  verify: oneOf(["other-host", "same-host"]).default("other-host"),
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
  checkCollector(config, problem);
  checkRecording(config, problem);
  const { engine, serviceId, devices, verify } = config;
  if (engine.length === 0 && devices.length === 0) {
    problem("devices", "nothing would prove: name a device, or {engine} to use lane hosts");
  }
  if (engine.length === 0 && verify === "same-host") {
    problem("verify", "is for proofs of lane hosts: name {engine} to use some");
  }
  const named = config.proofSystem && proofSystemNamed(config.proofSystem).revision;
  if (config.upgrade !== undefined && config.upgrade.revision === named) {
    problem("upgrade", "the revision is that of {proofSystem} already: name the next one");
  }
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

/** Adds an issue for each setting of a recording where nothing is recorded. */
function checkRecording(
  { record, recordMb, recordContent }: z.infer<typeof settings>,
  problem: (key: "recordMb" | "recordContent", message: string) => void,
): void {
  if (record !== undefined) return;
  const todo = "is for a recording: name its folder in {record}";
  if (recordMb !== defaults.recordMb) problem("recordMb", todo);
  if (recordContent !== DEFAULT_CONTENT) problem("recordContent", todo);
}

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

export type Config = z.infer<typeof schema>;

/** Merges the sources, of which a later one wins. Throws `ConfigError` with every error. */
export function parseConfig(...sources: readonly Record<string, unknown>[]): Config {
  return parseSettings(schema, sources);
}

/** The names of all settings. */
export const settingKeys: readonly string[] = Object.keys(schema.shape);

/** The settings in environment variables, undefined where not set: a source for `parseConfig`. */
export function configFromEnvironment(env: Readonly<Record<string, string | undefined>>) {
  return settingsIn(env, settingKeys);
}
