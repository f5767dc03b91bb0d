/** `lean-aggregator verify FILE`: proofs against exactly the keys given, by a running service. */
import { create } from "@bufbuild/protobuf";
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
import { usageError } from "./io/command.js";
import { connect } from "./io/connect.js";
import type { ConnectOptions } from "./io/connect.js";
import { exitCodes } from "./io/exit-codes.js";
import { hasProof, proofsInFile, verifyRequestOf } from "./proofs-in-file.js";
import { nameOf, readInput, readMessage } from "./io/read-input.js";
import { NODE_DEFAULT } from "./io/node-default.js";
import type { Column } from "./io/table.js";
import { formatTable } from "./io/table.js";
import type { Terminal } from "./io/terminal.js";

const INFO_TIMEOUT_MS = 5000;
/** One verification takes 20 to 100 ms, beside a proof on a loaded machine more. */
const VERIFY_TIMEOUT_MS = 30_000;

export interface VerifyOptions extends ConnectOptions {
  /** The snapshot that was submitted: its key table says whose keys the participants are. */
  keys?: string;
}

export async function verifyCommand(
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
    throw callError(error, server);
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
    throw usageError("the request names its keys itself", nameOf(file), "leave --keys out");
  }
  if (keysFile === undefined) {
    const todo = "name the snapshot that was submitted with --keys";
    throw usageError("outcomes name validators, not keys", nameOf(file), todo);
  }
  const { snapshot } = await readMessage(SubmitSnapshotRequestSchema, keysFile, terminal);
  const proved = proofs.outcomes.filter(hasProof);
  if (proved.length === 0) {
    const what = `none of ${proofs.outcomes.length} outcomes has a proof`;
    throw usageError(what, nameOf(file), "a proof is erased at its fence: keep it before");
  }
  return proved.map((outcome) => ({
    ...verifyRequestOf(outcome, snapshot?.keys ?? [], keysFile),
    node,
  }));
}

interface Verdict {
  request: VerifyAggregateRequest;
  answer: VerifyAggregateResponse;
}

const columns: readonly Column<Verdict>[] = [
  { title: "proof", cell: ({ answer }) => (answer.valid ? "valid" : "INVALID") },
  { title: "slot", align: "right", cell: ({ request }) => String(request.data?.slot ?? "-") },
  { title: "validators", align: "right", cell: ({ request }) => String(request.publicKeys.length) },
  { title: "verify ms", align: "right", cell: ({ answer }) => String(answer.verifyMs) },
  { title: "root", cell: ({ request: { message } }) => rootText(message) },
  { title: "detail", cell: ({ answer }) => answer.detail || "-" },
];

function verdictText(
  verdicts: readonly Verdict[],
  { proofSystem, fake }: GetServerInfoResponse,
  server: string,
): string {
  const valid = verdicts.filter(({ answer }) => answer.valid).length;
  const by = `${proofSystem?.scheme ?? ""} ${proofSystem?.revision ?? ""} at ${server}`;
  const simulated = fake ? "; FAKE: the simulation's prover, this means nothing" : "";
  const total = `${valid} of ${verdicts.length} proofs valid for exactly these validators' keys`;
  return `${formatTable(columns, verdicts)}\n${total}, by ${by}${simulated}\n`;
}

/** A request need not name the root: the service computes it from the data. */
function rootText(message: Uint8Array): string {
  return message.length === 0 ? "of the data" : `0x${Buffer.from(message).toString("hex")}`;
}
