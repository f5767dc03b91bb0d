/** `lean-aggregator example`: prints a snapshot of real votes, which `submit` reads. */
import { create, toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { messageToHexJson } from "../../server/json/json-message.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending, exitCodes } from "../io/command.js";
import { packageRoot } from "../io/package-root.js";
import { systemOption } from "../io/proof-system.js";
import type { ProofSystemName } from "../../server/work/prover-description.js";
import { openVotes, snapshotOf, VOTES_FOLDER } from "./votes.js";

const VOTES_MAX = 64;
const SLOT = 100;

const help = `
Prints a SubmitSnapshotRequest in JSON: votes of validators 0, 1 and so on for one
attestation data of slot ${SLOT}, with real keys and signatures of the shipped prover's
scheme. The shipped prover proves it; the fake one takes it with --fake-accepts any.

The snapshot names no proof system unless --proof-system does: a service that has
several then takes its first, which must be of the same scheme.

Bytes are base64, as curl and grpcurl send them. submit and verify read hex after 0x
as well, as --hex prints it.

Examples:
  lean-aggregator example > snapshot.json
  lean-aggregator submit snapshot.json --out outcomes.jsonl
  lean-aggregator verify outcomes.jsonl --keys snapshot.json
  lean-aggregator example --proof-system leanxmss > snapshot.json
  lean-aggregator example --votes 64 | lean-aggregator submit - --deadline-ms 20000

With curl and grpcurl, to a service at 127.0.0.1:9190:
  curl -H 'content-type: application/json' --data @snapshot.json \\
    http://127.0.0.1:9190/lean.aggregator.v1.AggregatorService/SubmitSnapshot
  grpcurl -plaintext -d @ 127.0.0.1:9190 \\
    lean.aggregator.v1.AggregatorService/SubmitSnapshot < snapshot.json

Exit codes:
  0  printed
  2  a flag is wrong
`;

interface ExampleOptions {
  /** From 1 to 64. */
  votes: number;
  /** Print bytes in hex. */
  hex?: boolean;
  /** Default: the request names no proof system. */
  proofSystem?: ProofSystemName;
}

export function addExampleCommand(program: Command, modules: CommandModules): void {
  addCommand(program, "example", { summary: "print a snapshot of real votes, to submit", help })
    .addOption(
      new Option("--votes <count>", `votes in the snapshot, 1 to ${VOTES_MAX}`)
        .default(4)
        .argParser(readVotes),
    )
    .addOption(systemOption("name what proves (default: none)"))
    .option("--hex", "print keys, roots and signatures in hex after 0x, for a person")
    .action(
      ending(modules, (options: ExampleOptions) => {
        modules.terminal.out(exampleText(options));
        return exitCodes.ok;
      }),
    );
}

function readVotes(text: string): number {
  const votes = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (votes >= 1 && votes <= VOTES_MAX) return votes;
  throw new InvalidArgumentError(`Expected a number of votes from 1 to ${VOTES_MAX}.`);
}

/** The request in JSON, which ends with a line break. */
function exampleText({ votes: count, hex = false, proofSystem }: ExampleOptions): string {
  const votes = openVotes(`${packageRoot}${VOTES_FOLDER}`);
  const [group = 0] = votes.groupsOfSlot(SLOT);
  const rawSignatures = votes.raws(group, 0, count);
  const groups = [{ data: votes.dataOf(group), message: votes.rootOf(group), rawSignatures }];
  const request = create(SubmitSnapshotRequestSchema, {
    node: { nodeId: "node-1" },
    snapshot: snapshotOf(SLOT, groups, votes.keyTable(count)),
    ...(proofSystem && { proofSystem }),
  });
  const schema = SubmitSnapshotRequestSchema;
  const json = hex ? messageToHexJson(schema, request) : toJson(schema, request);
  return `${JSON.stringify(json, withIndex, 2)}\n`;
}

/** Writes validator 0, which protobuf leaves out as its default: a reader would miss it. */
function withIndex(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const isOfValidator = "publicKey" in value || "signature" in value;
  return isOfValidator ? { validatorIndex: 0, ...value } : value;
}
