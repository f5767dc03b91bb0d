/** Compares the service with bare calls of a prover, in pairs of samples with the same input. */
import { differences, quantile, spread } from "../statistics.js";

/** How long one proof took, by the service or the bare prover. */
export interface Took {
  totalMs: number;
  /** The part of `totalMs` from the request to the prover process until its proof is returned. */
  proveMs: number;
}

/** The two sides of one comparison; each call takes one sample. */
export interface Sides {
  bare: () => Promise<Took>;
  service: () => Promise<Took>;
}

export const notes = [
  "added: per pair, service less bare; q1 and q3 are its quartiles, error its median's standard",
  "error. outsideProof: the same with each side's own proving time taken out, which leaves out the",
  "noise of the proof and whatever the service might do to it.",
];

/** Takes one sample of each side unmeasured, then so many pairs, whose sides take turns in going first. */
export async function comparePairs(sides: Sides, pairs: number, done: (pairs: number) => void) {
  const bare: Took[] = [];
  const service: Took[] = [];
  await sides.bare();
  await sides.service();
  for (let pair = 0; pair < pairs; pair++) {
    const isBareFirst = pair % 2 === 0;
    if (isBareFirst) bare.push(await sides.bare());
    service.push(await sides.service());
    if (!isBareFirst) bare.push(await sides.bare());
    done(pair + 1);
  }
  const total = (side: Took[]) => side.map(({ totalMs }) => totalMs);
  const outside = (side: Took[]) => side.map(({ totalMs, proveMs }) => totalMs - proveMs);
  const added = spread(differences(total(bare), total(service)));
  const outsideProof = spread(differences(outside(bare), outside(service)));
  return {
    pairs,
    bareMedianMs: quantile(total(bare), 0.5),
    serviceMedianMs: quantile(total(service), 0.5),
    addedMedianMs: added.median,
    addedQ1Ms: added.q1,
    addedQ3Ms: added.q3,
    addedErrorMs: added.error,
    outsideProofMedianMs: outsideProof.median,
    outsideProofErrorMs: outsideProof.error,
  };
}
