/** A policy is refused with every problem placed, or denies whatever it does not name. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decide, permit } from "../../../server/access/policy.js";
import { parsePolicy, PolicyError } from "../../../server/access/policy-file.js";
import { limits } from "../../../server/limits.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

const encode = (policy: unknown) => new TextEncoder().encode(JSON.stringify(policy));
const example = () =>
  JSON.parse(readFileSync(join(process.cwd(), "deploy/policy.json"), "utf8")) as unknown;

export const target: FuzzTarget = {
  name: "policy",
  bytesMax: 8192,
  msMax: 25,
  msPerKb: 10,
  seeds: () => [
    encode(example()),
    encode({ principals: [] }),
    encode({ principals: [{ name: "all", anonymous: true, calls: ["*"], nodes: ["*"] }] }),
  ],
  mutate: (input, random) => {
    try {
      return encode(mutateValue(JSON.parse(Buffer.from(input).toString()), random));
    } catch {
      return input;
    }
  },
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  let policy;
  try {
    policy = parsePolicy(Buffer.from(input).toString());
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    holds(error.problems.length > 0, "a refusal names a problem");
    for (const { place } of error.problems) holds(place !== "", "a problem has its place");
    return;
  }
  const { principals } = policy;
  holds(principals.length <= limits.principalsMax, "principals are bounded");
  const names = principals.map(({ name }) => name);
  holds(new Set(names).size === names.length, "each principal has a name of its own");
  const nobody = decide(policy, { kind: "nothing" }, {}, 0);
  holds(nobody.kind === "unknown", "who shows nothing on a network is nobody");
  for (const principal of principals) {
    const call = "NoSuchCall";
    const allowed = permit(principal, { call }).kind === "allowed";
    holds(allowed === principal.calls.includes("*"), "what is not named is denied");
    const asOperator = permit(principal, { call, isOperators: true }).kind === "allowed";
    holds(asOperator === principal.operatorCalls.includes("*"), "the operator's calls apart");
    const nodeId = "~";
    const isAllowed = permit(principal, { nodeId }).kind === "allowed";
    holds(isAllowed === principal.nodes.includes("*"), "a node that is not named is denied");
  }
}
