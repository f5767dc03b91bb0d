/** `lean-aggregator info`: shows what a service is, what it accepts, and what it has learned. */
import { toJsonString } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type {
  Device,
  GetServerInfoResponse,
  LearnedCost,
  Limits,
  Offer,
  Status,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  DeviceState,
  GetServerInfoResponseSchema,
  ProofKind,
  ServiceState,
  UpgradeState,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { callError } from "./io/call-error.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connect } from "./io/connect.js";
import { lower } from "./io/outcome-line.js";
import { systemText } from "./io/proof-system.js";
import type { Column } from "./io/table.js";
import { formatTable } from "./io/table.js";

const help = `
For each device, 'prove ms' is the median time of a proof of that size and rate
(log_inv_rate), as the device has learned it. 2 % of proofs take less than 'low',
2 % more than 'high'. 'memory MB' is the predicted peak of the prover's memory.
A device of a lane host is named HOST.DEVICE; 'admin hosts' lists the hosts.

Examples:
  lean-aggregator info
  lean-aggregator info --server https://fleet.example:9190 --tls-ca ca.crt \\
    --tls-certificate node.crt --tls-key node.key
  lean-aggregator info --json | jq .devices

Exit codes:
  0  the service answered
  1  the service refused the call or cannot be reached
  2  a flag is wrong
`;

const CALL_TIMEOUT_MS = 5000;

export interface InfoOptions extends ConnectOptions {
  /** Print the whole response as JSON instead of tables. */
  json?: boolean;
}

export function addInfoCommand(program: Command, modules: CommandModules): void {
  const summary = "show a service's version, proof systems, limits, devices and learned costs";
  addConnectOptions(addCommand(program, "info", { summary, help }))
    .option("--json", "print the whole GetServerInfoResponse as JSON")
    .action(ending(modules, (options: InfoOptions) => infoCommand(options, modules.terminal)));
}

async function infoCommand(options: InfoOptions, terminal: Terminal): Promise<number> {
  const { json = false } = options;
  const client = connect(options);
  try {
    const info = await client.getServerInfo({}, { timeoutMs: CALL_TIMEOUT_MS });
    const raw = () => toJsonString(GetServerInfoResponseSchema, info, { prettySpaces: 2 });
    terminal.out(json ? `${raw()}\n` : infoText(info));
    return exitCodes.ok;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    client.close();
  }
}

const deviceColumns: readonly Column<Device & { system: string }>[] = [
  { title: "device", cell: ({ id }) => id },
  { title: "state", cell: deviceStateText },
  { title: "proof system", cell: ({ system }) => system },
  { title: "verified by", cell: verifierText },
  { title: "detail", cell: ({ detail }) => detail || "-" },
];

const costColumns: readonly Column<LearnedCost & { id: string }>[] = [
  { title: "device", cell: ({ id }) => id },
  { title: "raw signatures", align: "right", cell: (cost) => String(cost.rawSignatures) },
  { title: "children", align: "right", cell: ({ children }) => String(children) },
  { title: "messages", align: "right", cell: ({ messages }) => String(messages || 1) },
  { title: "rate", align: "right", cell: ({ logInvRate }) => String(logInvRate) },
  { title: "prove ms", align: "right", cell: ({ proveMs }) => String(proveMs) },
  { title: "low", align: "right", cell: ({ proveMsLow }) => String(proveMsLow) },
  { title: "high", align: "right", cell: ({ proveMsHigh }) => String(proveMsHigh) },
  { title: "memory MB", align: "right", cell: (cost) => megabytes(cost.peakBytes) },
];

/** Formats the service's properties, devices and learned costs as tables. */
export function infoText(info: GetServerInfoResponse): string {
  const offers = info.status?.offers ?? [];
  const devices = info.devices.map((device) => {
    const offer = offers.find(({ deviceIds }) => deviceIds.includes(device.id));
    return { ...device, system: systemText(offer?.proofSystem) };
  });
  const costs = devices.flatMap(({ id, learnedCosts }) =>
    learnedCosts.map((cost) => ({ ...cost, id })),
  );
  return [
    pairsText([
      ...identity(info),
      ...offerPairs(offers),
      ...upgradePairs(info),
      ...limitPairs(info),
    ]),
    formatTable(deviceColumns, devices),
    ...(costs.length === 0 ? [] : [formatTable(costColumns, costs)]),
  ].join("\n");
}

const megabytes = (bytes: bigint) => (bytes === 0n ? "-" : String(Math.round(Number(bytes) / 1e6)));

function deviceStateText({ state, drained }: Device): string {
  return `${lower(DeviceState[state])}${drained ? ", drained" : ""}`;
}

/** Which process verifies the device's proofs; none does while no prover of it is set up. */
function verifierText({ state, standbyReady }: Device): string {
  if (standbyReady) return "standby";
  const isUp = state === DeviceState.IDLE || state === DeviceState.PROVING;
  return isUp ? "its prover" : "-";
}

type Pair = readonly [name: string, value: string];

const NO_STATUS = { state: ServiceState.UNSPECIFIED, detail: "" };

const sizeText = (bytes: number) => (bytes === 0 ? "any size" : `${bytes} bytes`);

const kib = (bytes: number) => `${Math.floor(bytes / 1024)} KiB`;

function identity(info: GetServerInfoResponse): Pair[] {
  return [
    ["version", info.serverVersion],
    ["service", info.serviceId],
    ["run", info.run],
    ["state", stateText(info.status)],
    ["time", new Date(Number(info.serverTimeUnixMs)).toISOString()],
  ];
}

function stateText({ state, detail }: Pick<Status, "state" | "detail"> = NO_STATUS): string {
  if (state === ServiceState.READY) return "accepting snapshots";
  const why = detail === "" ? "" : `: ${detail}`;
  return `${lower(ServiceState[state])}, accepts no snapshots${why}`;
}

/** What the service proves. */
function offerPairs(offers: readonly Offer[]): Pair[] {
  if (offers.length === 0) return [["scheme", "none: no prover has been ready"]];
  return offers.flatMap((offer): Pair[] => [
    [
      "scheme",
      `${offer.proofSystem?.scheme ?? ""}${offer.fake ? " (FAKE: simulated, not real proofs)" : ""}`,
    ],
    ["revision", offer.proofSystem?.revision || "-"],
    ["proof kinds", offer.kinds.map((kind) => lower(ProofKind[kind])).join(", ")],
    ["rates", `log_inv_rate ${offer.logInvRates.join(", ")}`],
    ["public key", sizeText(offer.publicKeyBytes)],
    ["signature", sizeText(offer.signatureBytes)],
    ["children", `at most ${offer.childrenMax} in a group`],
    ...(offer.messagesMax > 0 ? [["merge", `at most ${offer.messagesMax} messages`] as const] : []),
    ["proof", `at most ${kib(offer.proofBytesMax)}`],
    ["on devices", offer.deviceIds.join(", ")],
  ]);
}

/** How far the upgrade of the default proof system is. */
function upgradePairs({ upgrade }: GetServerInfoResponse): Pair[] {
  if (upgrade === undefined) return [];
  const { proofSystem, slot, state, detail } = upgrade;
  const name = `${proofSystem?.scheme ?? ""} ${proofSystem?.revision ?? ""}`.trim();
  const how = `${lower(UpgradeState[state])}${detail === "" ? "" : `: ${detail}`}`;
  return [["upgrade", `to ${name} from slot ${slot}, ${how}`]];
}

function limitPairs(info: GetServerInfoResponse): Pair[] {
  const { limits } = info;
  const budgets: Pair[] = [
    ["deadline", `${info.defaultDeadlineMs} ms, at most ${limits?.deadlineMsMax ?? 0}`],
    ["fence", `${info.defaultFenceMs} ms, at most ${limits?.fenceMsMax ?? 0}`],
  ];
  if (limits === undefined) return budgets;
  return [
    ...budgets,
    ["snapshot", `at most ${limits.groupsMax} groups, ${kib(limits.snapshotBytesMax)}`],
    ["in JSON", `at most ${kib(limits.jsonBytesMax)}`],
    ["group", `at most ${limits.rawSignaturesMax} raw signatures`],
    ["validators", `at most ${limits.validatorsMax}`],
    ["connection", `at most ${limits.callsPerConnectionMax} calls, ${leaveText(limits)}`],
    ["headers", `at most ${kib(limits.headerBytesMax)}`],
  ];
}

function leaveText({ connectionAgeMs, connectionIdleMs, connectionGraceMs }: Limits): string {
  const seconds = (ms: number) => `${ms / 1000} s`;
  const [age, idle, grace] = [connectionAgeMs, connectionIdleMs, connectionGraceMs].map(seconds);
  return `GOAWAY after ${age}, or ${idle} without a call; closed ${grace} later`;
}

function pairsText(pairs: readonly Pair[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}
