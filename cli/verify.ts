/**
 * `lean-aggregator verify FILE`: asks a service to verify proofs against exactly the keys given.
 */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type {
  GetServerInfoResponse,
  VerifyAggregateRequest,
  VerifyAggregateResponse,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  NodeSchema,
  SubmitSnapshotRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { callError } from "./io/call-error.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes, NODE_DEFAULT, usageError } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connect } from "./io/connect.js";
import { isProved } from "./io/outcome-line.js";
import { nameOf, readInput, readMessage } from "./io/read-input.js";
import { offerNamed, systemText } from "./io/proof-system.js";
import type { Column } from "./io/table.js";
import { formatTable } from "./io/table.js";
import { hasProof, proofsInFile, verifyRequestOf } from "./proofs-in-file.js";

const help = `
FILE is one of:
- outcomes in JSON, from 'submit --out', 'submit --json', 'watch --json' or
  GetSession. They name validators; --keys names the snapshot with their keys.
- a VerifyAggregateRequest in JSON, or in binary if its name ends in .bin. It
  has the keys itself.
"-" reads JSON from standard input. A proof is valid if it verifies and covers
exactly these keys and this attestation data. Bytes are hex after 0x, or base64.

Examples:
  lean-aggregator submit snapshot.json --out outcomes.jsonl
  lean-aggregator verify outcomes.jsonl --keys snapshot.json
  lean-aggregator verify request.json

Exit codes:
  0  every proof is valid
  1  the service failed, refused the request or cannot be reached
  2  a flag or FILE is wrong, or FILE has no proof
  3  not every proof is valid
`;

const INFO_TIMEOUT_MS = 5000;
/** A verification takes 20 to 100 ms, and longer while a proof runs on a loaded machine. */
const VERIFY_TIMEOUT_MS = 30_000;

export interface VerifyOptions extends ConnectOptions {
  /** File with the submitted snapshot, whose key table has the participants' keys. */
  keys?: string;
}

export function addVerifyCommand(program: Command, modules: CommandModules): void {
  const summary = "verify proofs against exactly the keys given";
  addConnectOptions(addCommand(program, "verify", { summary, help }))
    .argument("<file>", "outcomes or a request, or - for standard input")
    .option("--keys <file>", "the submitted snapshot; needed for outcomes")
    .action(
      ending(modules, (file: string, options: VerifyOptions) =>
        verifyCommand(file, options, modules.terminal),
      ),
    );
}

async function verifyCommand(
  file: string,
  options: VerifyOptions,
  terminal: Terminal,
): Promise<number> {
  const { server, keys } = options;
  const requests = await readRequests(file, keys, terminal);
  const client = connect(options);
  try {
    const info = await client.getServerInfo({}, { timeoutMs: INFO_TIMEOUT_MS });
    const verdicts: Verdict[] = [];
    for (const request of requests) {
      const answer = await client.verifyAggregate(request, { timeoutMs: VERIFY_TIMEOUT_MS });
      verdicts.push({ request, answer });
    }
    terminal.out(verdictText(verdicts, info, server));
    return verdicts.every(({ answer }) => answer.valid) ? exitCodes.ok : exitCodes.notAll;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    client.close();
  }
}

async function readRequests(
  file: string,
  keysFile: string | undefined,
  terminal: Terminal,
): Promise<VerifyAggregateRequest[]> {
  const proofs = proofsInFile(await readInput(file, terminal), file);
  const node = create(NodeSchema, { nodeId: NODE_DEFAULT });
  if (proofs.kind === "request") {
    if (keysFile === undefined) return [{ node, ...proofs.request }];
    throw usageError(`--keys ${keysFile}: ${nameOf(file)} has its own keys`, "leave --keys out");
  }
  if (keysFile === undefined) {
    const problem = `--keys is missing: the outcomes in ${nameOf(file)} name validators, not keys`;
    throw usageError(problem, "name the submitted snapshot with --keys");
  }
  const { snapshot } = await readMessage(SubmitSnapshotRequestSchema, keysFile, terminal);
  const proved = proofs.outcomes.filter(hasProof);
  if (proved.length === 0) {
    const problem = `${nameOf(file)} has ${proofs.outcomes.length} outcomes and no proof`;
    throw usageError(
      problem,
      proofs.outcomes.some(isProved)
        ? "save proofs before their fence, when the service erases them"
        : "no group of them was proved: the table of 'submit' says why",
    );
  }
  const { keys = [], sszBitlists = false } = snapshot ?? {};
  return proved.map((outcome) => ({
    ...verifyRequestOf(outcome, { keys, sszBitlists }, keysFile),
    node,
  }));
}

interface Verdict {
  request: VerifyAggregateRequest;
  answer: VerifyAggregateResponse;
}

const columns: readonly Column<Verdict>[] = [
  { title: "proof", cell: ({ answer }) => (answer.valid ? "valid" : "INVALID") },
  { title: "slot", align: "right", cell: ({ request }) => slotText(request) },
  { title: "validators", align: "right", cell: ({ request }) => validatorsText(request) },
  { title: "verify ms", align: "right", cell: ({ answer }) => String(answer.verifyMs) },
  { title: "root", cell: ({ request }) => rootText(request) },
  { title: "detail", cell: ({ answer }) => answer.detail || "-" },
];

function verdictText(
  verdicts: readonly Verdict[],
  { status }: GetServerInfoResponse,
  server: string,
): string {
  const valid = verdicts.filter(({ answer }) => answer.valid).length;
  const used = verdicts.map(({ request }) => offerNamed(status?.offers ?? [], request.proofSystem));
  const systems = new Set(used.map((offer) => systemText(offer?.proofSystem)));
  const by = `${[...systems].join(", ")} at ${server}`;
  const simulated = used.some((offer) => offer?.fake)
    ? "; FAKE: a simulated prover, so this verifies nothing"
    : "";
  const total = `${valid} of ${verdicts.length} proofs valid for exactly these keys`;
  return `${formatTable(columns, verdicts)}\n${total}, verified by ${by}${simulated}\n`;
}

function slotText({ data, claims }: VerifyAggregateRequest): string {
  if (claims.length === 0) return String(data?.slot ?? "-");
  return claims.map(({ signed }) => String(signed.value?.slot ?? "-")).join(", ");
}

/** Number of validators; of a merge, for each claim. */
function validatorsText({ publicKeys, claims }: VerifyAggregateRequest): string {
  const lists = claims.length === 0 ? [publicKeys] : claims.map((claim) => claim.publicKeys);
  return lists.map(({ length }) => String(length)).join(", ");
}

/** Formats the root. A request may leave it out: the service computes it from the data. */
function rootText({ message, claims }: VerifyAggregateRequest): string {
  if (claims.length > 0) return `of ${claims.length} messages`;
  return message.length === 0 ? "from the data" : `0x${Buffer.from(message).toString("hex")}`;
}
