/** Proof systems on the command line: a scheme, or a scheme and a revision after a space. */
import { InvalidArgumentError, Option } from "commander";
import type { Offer } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ProofSystemName } from "../../server/work/prover-description.js";
import { isNamed, proofSystemNamed } from "../../server/work/prover-description.js";

/** The name as a text; "-" for none. */
export function systemText(name: Partial<ProofSystemName> | undefined): string {
  const { scheme = "", revision = "" } = name ?? {};
  return [scheme, revision].filter((part) => part !== "").join(" ") || "-";
}

/** Makes the flag --proof-system, which takes such a name. */
export function systemOption(description: string): Option {
  return new Option("--proof-system <name>", description).argParser((text: string) => {
    if (/^\S{1,64}( \S{1,64})?$/.test(text)) return proofSystemNamed(text);
    const example = '"leanxmss py-lean-pq-0.7.0"';
    throw new InvalidArgumentError(
      `Expected a scheme, or a scheme and a revision, such as ${example}.`,
    );
  });
}

/** The offer that a request with this name gets; the default without one. */
export function offerNamed(
  offers: readonly Offer[],
  name: ProofSystemName = { scheme: "", revision: "" },
): Offer | undefined {
  return offers.find(({ proofSystem }) => proofSystem !== undefined && isNamed(name, proofSystem));
}
