/**
 * Reads and checks the policy file, which is JSON. All errors are reported at once, each with its
 * place but without the value, which may be a token put there by mistake.
 */
import { z } from "zod";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { fileReason } from "../files/file-reason.js";
import { limits } from "../limits.js";
import type { Policy, Principal } from "./policy.js";
import { decodeText, JsonError, parseJsonText } from "../json/json-text.js";
import { readFileWithin } from "../files/read-file.js";
import { alternatives, placeOf, safeParse } from "../json/safe-parse.js";
import { priorityNames } from "../work/priority.js";

/** Stands among the calls for the page `/metrics`: it shows all nodes, so it needs a permission. */
export const METRICS_CALL = "Metrics";
const namesOf = ({ method }: typeof AggregatorService | typeof AdminService) =>
  Object.values(method).map(({ name }) => name);
export const calls = [...namesOf(AggregatorService), METRICS_CALL];
export const operatorCalls = namesOf(AdminService);

const oneOf = (names: readonly string[]) =>
  z.array(z.enum([...names, "*"], `expected ${alternatives([...names, "*"])}`)).default([]);
const quota = (max: number) => {
  const expected = `expected a whole number from 1 to ${max}`;
  return z.number(expected).int(expected).min(1, expected).max(max, expected).optional();
};
const seconds = `expected a number above 0, up to ${60 * limits.devicesMax}`;

const token = z
  .strictObject({
    sha256: z
      .string()
      .regex(
        /^[0-9a-f]{64}$/,
        "expected 64 lower-case hexadecimal digits, as 'lean-aggregator token' prints",
      ),
    expires: z.iso.datetime({
      offset: true,
      error: "expected a time such as 2027-01-31T00:00:00Z",
    }),
  })
  .partial({ expires: true })
  .transform(({ sha256, expires }) => ({
    sha256: Buffer.from(sha256, "hex"),
    expiresUnixMs: expires === undefined ? undefined : Date.parse(expires),
  }));

const principal = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w.:/@-]{1,128}$/, "expected 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -"),
    certificates: z
      .array(
        z
          .string()
          .regex(
            /^(DNS|URI|IP Address|email|CN):.+$|^\*$/,
            "expected DNS:…, URI:…, IP Address:…, email:…, CN:… or *",
          ),
      )
      .default([]),
    tokens: z.array(token).default([]),
    sockets: z.array(z.string().regex(/^\//, "expected an absolute path")).default([]),
    anonymous: z.boolean().default(false),
    nodes: z
      .array(
        z
          .string()
          .regex(/^(?!$)[A-Za-z0-9._-]{0,64}\*?$/, "expected a node id, or the start of one and *"),
      )
      .default([]),
    calls: oneOf(calls),
    operatorCalls: oneOf(operatorCalls),
    priorities: oneOf(Object.values(priorityNames)),
    quota: z
      .strictObject({
        sessionsInFlight: quota(limits.sessionsInFlightMax),
        heldBytes: quota(limits.heldBytesMax),
        proverSecondsPerMinute: z
          .number(seconds)
          .positive(seconds)
          .max(60 * limits.devicesMax, seconds)
          .optional(),
        streams: quota(limits.nodesMax * limits.streamsPerNodeMax),
        callsPerMinute: quota(limits.callsPerMinuteMax),
      })
      .default({}),
  })
  .superRefine((it, context) => {
    const problem = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    const ways = it.certificates.length + it.tokens.length + it.sockets.length;
    if (ways === 0 && !it.anonymous) {
      problem("name", "matches no caller: add certificates, tokens, sockets or anonymous");
    }
    const may = (call: string) => it.calls.includes(call) || it.calls.includes("*");
    if (may("SubmitSnapshot") && it.priorities.length === 0) {
      problem("priorities", "is empty, but calls has SubmitSnapshot: add priorities");
    }
    const ofNodes = calls.filter((call) => call !== "GetServerInfo" && call !== METRICS_CALL);
    if (it.nodes.length === 0 && ofNodes.some(may)) {
      problem("nodes", "is empty, but calls has some that are for a node: add nodes");
    }
  });

const file = z.strictObject({ principals: z.array(z.unknown()).max(limits.principalsMax) });

/** One error of a policy file. */
export interface PolicyProblem {
  /** A path such as `principals[2].tokens[0].sha256`; for invalid JSON, line and column. */
  place: string;
  text: string;
}

export class PolicyError extends Error {
  override readonly name = "PolicyError";
  constructor(readonly problems: readonly PolicyProblem[]) {
    super(problems.map(({ place, text }) => `${place}: ${text}`).join("\n"));
  }
}

/** The policy in the text of a policy file. Throws `PolicyError` with every error. */
export function parsePolicy(text: string): Policy {
  const { data, error } = safeParse(file, fromJson(text));
  if (error !== undefined) throw new PolicyError(problemsOf(error, []));
  const problems: PolicyProblem[] = [];
  const principals = data.principals.map((each, at): Principal | undefined => {
    const parsed = safeParse(principal, each);
    if (!parsed.success) problems.push(...problemsOf(parsed.error, ["principals", at]));
    return parsed.data;
  });
  problems.push(...repeated(principals));
  if (problems.length > 0) throw new PolicyError(problems);
  return { principals: principals.filter((each) => each !== undefined) };
}

/** The content of a policy file. Throws `PolicyError` when it cannot be read or is too large. */
export function readPolicyText(path: string): string {
  const wrong = (text: string) => new PolicyError([{ place: "the file", text }]);
  let bytes: Uint8Array;
  try {
    bytes = readFileWithin(path, { bytesMax: limits.policyBytesMax, mustBeFile: true });
  } catch (cause) {
    throw wrong(`cannot be read: ${fileReason(cause, path)}`);
  }
  try {
    return decodeText(bytes);
  } catch (error) {
    throw error instanceof JsonError ? wrong(error.detail) : error;
  }
}

function fromJson(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new PolicyError([{ place: error.place || "the file", text: error.detail }]);
  }
}

function problemsOf({ issues }: z.ZodError, prefix: (string | number)[]): PolicyProblem[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code !== "unrecognized_keys")
      return { place: placeOf(path) || "the whole file", text: issue.message };
    return issue.keys.map((key) => ({
      place: placeOf([...path, key]) || "the key with no name",
      text: "there is no such setting",
    }));
  });
}

/** An error for each name or credential that occurs twice: no call would match the second. */
function repeated(principals: readonly (Principal | undefined)[]): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const seen = new Map<string, string>();
  principals.forEach((each, at) => {
    if (each === undefined) return;
    const look = (field: string, value: string) => {
      const place = `principals[${at}].${field}`;
      const key = `${field.replace(/\[.*/, "")} ${value}`;
      const first = seen.get(key);
      if (first === undefined) seen.set(key, place);
      else problems.push({ place, text: `repeats ${first}` });
    };
    look("name", each.name);
    if (each.anonymous) look("anonymous", "");
    each.certificates.forEach((name, index) => look(`certificates[${index}]`, name));
    each.tokens.forEach(({ sha256 }, index) => look(`tokens[${index}]`, sha256.toString("hex")));
    each.sockets.forEach((path, index) => look(`sockets[${index}]`, path));
  });
  return problems;
}
