/** What a tree's result names as left out, beside the inputs that were found bad. Pure. */
import { sha256 } from "../../bytes.js";
import { rawDigest } from "../../work/raw-digest.js";
import type { FoldWork, LeftOut } from "../../work/group.js";
import type { ProverDescription } from "../../work/prover-description.js";

interface Inputs {
  work: FoldWork;
  sizes: Pick<ProverDescription, "signatureBytes" | "anySize">;
}

/** What is in a tree's proof: positions of inputs in the group, and all validators. */
interface InProof {
  raws: readonly number[];
  children: readonly number[];
  validators: readonly number[];
}

/**
 * The bad inputs and, of the others that are not in the proof, the raw signatures that a child covers,
 * and what was shed.
 */
export function withOthers(
  { work, sizes }: Inputs,
  bad: readonly LeftOut[],
  { raws, children, validators }: InProof,
): LeftOut[] {
  const known = new Set(bad.map(nameOf));
  const [provedRaws, folded] = [new Set(raws), new Set(children)];
  const inProof = new Set(validators);
  const others = work.raws.validators.flatMap((validatorIndex, at): LeftOut[] => {
    const input = { kind: "raw", validatorIndex } as const;
    if (provedRaws.has(at) || known.has(nameOf({ input }))) return [];
    const reason = inProof.has(validatorIndex) ? "covered" : "shed";
    return [{ reason, input, digest: rawDigest(work.raws, at, sizes) }];
  });
  const shed = work.children.flatMap(({ index, proof }, at): LeftOut[] => {
    const input = { kind: "child", childIndex: index } as const;
    if (folded.has(at) || known.has(nameOf({ input }))) return [];
    return [{ reason: "shed", input, digest: sha256(proof) }];
  });
  return [...bad, ...others, ...shed];
}

/** The bad inputs, and the raw signatures that a good child covers, of a group without a proof. */
export function withCovered(inputs: Inputs, bad: readonly LeftOut[]): LeftOut[] {
  const known = new Set(bad.map(nameOf));
  const { children } = inputs.work;
  const good = children.filter(
    ({ index }) => !known.has(nameOf({ input: { kind: "child", childIndex: index } })),
  );
  const validators = good.flatMap((child) => child.validators);
  return withOthers(inputs, bad, { raws: [], children: [...children.keys()], validators });
}

function nameOf({ input }: Pick<LeftOut, "input">): string {
  switch (input.kind) {
    case "raw":
      return `raw ${input.validatorIndex}`;
    case "child":
      return `child ${input.childIndex}`;
    case "component":
      return `component ${input.componentIndex}`;
  }
}
