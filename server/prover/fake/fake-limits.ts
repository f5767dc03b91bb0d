/** The limits that the fake prover has like a real one: the setting `fakeLimits`. */
import { z } from "zod";
import type { ProverDescription } from "../../work/prover-description.js";

/** What a simulated fold may have, as a prover describes it. What is left out has no limit. */
export type FakeLimits = Pick<
  ProverDescription,
  "rawsMax" | "rawsBesideMax" | "arities" | "separatesRaws"
> &
  Partial<Pick<ProverDescription, "childrenMax">>;

const expected =
  "expected limits such as raws:400,children:16,arities:2+4, of raws, beside (raw signatures in a " +
  "fold with children; 0: none), children and arities, each at most once; arities have 2";

const PART = /^(raws|beside|children):(\d{1,4})$|^(arities):(\d{1,2}(?:\+\d{1,2})*)$/;

/** Schema of the setting `fakeLimits`, a list or a text separated by commas. */
export const fakeLimitsSchema = z
  .preprocess(
    (value) => (typeof value === "string" ? value.split(",").map((part) => part.trim()) : value),
    z.array(z.string(expected).regex(PART, expected), expected),
  )
  .transform((parts, context): FakeLimits => {
    const given = new Map(parts.map((part) => [part.split(":", 1)[0], part.split(":")[1] ?? ""]));
    const number = (name: string) => Number(given.get(name) ?? 0);
    const counts = (given.get("arities") ?? "").split("+").filter((count) => count !== "");
    const isWrong =
      given.size < parts.length ||
      number("children") === 1 ||
      (given.has("arities") && (!counts.includes("2") || counts.some((n) => Number(n) > 31)));
    if (isWrong) context.addIssue({ code: "custom", message: expected });
    return {
      rawsMax: number("raws"),
      rawsBesideMax: number("beside"),
      separatesRaws: given.get("beside") === "0",
      childrenMax: number("children"),
      arities: counts.reduce((bits, count) => bits | (1 << Number(count)), 0) >>> 0,
    };
  });
