/** The flags of settings of the devices and the engine, the same for every command that proves. */
import type { SettingHelp } from "./settings-sources.js";

export const DEVICE_SETTINGS: readonly SettingHelp[] = [
  ["--prover <name>", "lean_pq proves; fake simulates, and marks its results", ["lean_pq", "fake"]],
  [
    "--fake-accepts <inputs>",
    "keys and signatures that the fake prover takes: its own form, or any size unchecked",
    ["own", "any"],
  ],
  [
    "--fake-time <ms>",
    "time of a simulated proof: 200, 100-900 (random) or 100+4/raw+60/child (for each input)",
  ],
  ["--fake-seed <number>", "seed of random times: the same seed, the same times"],
  [
    "--fake-failures <list>",
    "simulated proofs that fail: error:10,death:25,hang:40 is every 10th, 25th and 40th",
  ],
  [
    "--fake-limits <limits>",
    "most that a simulated proof has, such as raws:400,beside:0,children:16,arities:2+4",
  ],
  ["--devices <devices>", "devices to prove on: names, or a JSON list, see below"],
  [
    "--standby <count>",
    "standby provers of each device, to verify and take over",
    ["auto", "0", "1"],
  ],
  [
    "--prover-memory-mb <mb>",
    "start no proof that takes more memory, and replace a prover that holds more; none: half of a device's share, at least 3000; never above 80 %",
  ],
  [
    "--refresh-percent <percent>",
    "most of an idle device's time for proofs that refresh learned costs; 0: none",
  ],
  [
    "--leaf-raws-max <n>",
    "most raw signatures of one proof; larger groups become trees of proofs; 0: the backend's limit",
  ],
  [
    "--runtime-dir <folder>",
    "folder of device locks, which hold between services with the same folder",
  ],
  ["--state-dir <folder>", "folder of learned costs and of the service's id"],
  [
    "--keep-fatal <folder>",
    "keep the calls in which provers died there, for 'conformance --replay'",
  ],
];

/** Who verifies, of a service that uses lane hosts. */
export const VERIFY_SETTING: SettingHelp = [
  "--verify <by>",
  "who verifies a proof of a lane host: another host, or the one that made it",
  ["other-host", "same-host"],
];

export const ENGINE_SETTINGS: readonly SettingHelp[] = [
  [
    "--engine <urls>",
    "servers of NATS to share lane hosts by, see below: tls://host:port, by commas",
  ],
  ["--engine-cell <name>", "services and lane hosts of one cell work together"],
  ["--engine-ca <file>", "PEM file of the authority that signs the servers' certificates"],
  [
    "--engine-certificate <file>",
    "PEM file of the certificate by which the servers know this process",
  ],
  ["--engine-key <file>", "PEM file of the private key of that certificate"],
];
