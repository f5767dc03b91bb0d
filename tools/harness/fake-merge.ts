/** Merges of which the fake prover takes every input for valid. */
import { concat } from "../../server/bytes.js";
import { fakeSignature, startFakeProver } from "../../server/prover/fake/fake.js";
import { foldJob } from "../../server/prover/prover.js";
import type { ComponentWork, MergeWork } from "../../server/work/group.js";

/** A component of a merge by the number of its validators, whose indices start at `first`. */
export interface FakeComponent {
  from: "raws" | "proof";
  validators: number;
  /** Default: 0. */
  first?: number;
}

const KEY_BYTES = 32;

const fakeKey = (validator: number) => new Uint8Array(KEY_BYTES).fill(validator + 1);

/** The merge of these components, each of another message. */
export async function fakeMerge(components: readonly FakeComponent[]): Promise<MergeWork> {
  const all = components.map((component, at) => fakeComponent(component, at));
  return { kind: "merge", components: await Promise.all(all), leftOut: [], logInvRate: 0 };
}

async function fakeComponent(
  { from, validators: count, first = 0 }: FakeComponent,
  at: number,
): Promise<ComponentWork> {
  const message = { root: new Uint8Array(32).fill(100 + at), slot: 7 };
  const validators = Array.from({ length: count }, (_, nth) => first + nth);
  const keys = concat(validators.map(fakeKey));
  const signatures = concat(
    validators.map((each) => fakeSignature(fakeKey(each), message.root, message.slot)),
  );
  if (from === "raws") {
    return { message, from: { kind: "raws", raws: { validators, keys, signatures } } };
  }
  const prover = startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });
  const inputs = { message, keys, signatures, children: [], logInvRate: 0 };
  const proof = await prover.prove(foldJob(inputs, keys));
  return { message, from: { kind: "proof", child: { index: at, validators, keys, proof } } };
}
