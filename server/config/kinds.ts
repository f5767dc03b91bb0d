/** What settings may be: texts of flags and variables, or JSON of a settings file. */
import { z } from "zod";
import { EXPECTED, isLocalAddress, readAddress, writeAddress } from "../../proto/address.js";
import { alternatives } from "../json/safe-parse.js";

/** An address of the service, in the one form of `writeAddress`. */
export const addressText = (of: { mayBeOff: boolean; mustBeLocal?: boolean }) => {
  const { mayBeOff, mustBeLocal = false } = of;
  const form = `expected ${mustBeLocal ? "a loopback host:port" : "host:port"}`;
  const expected = mayBeOff ? `${form}, unix:/path or "off"` : EXPECTED;
  return z.string(expected).transform((text, context) => {
    if (mayBeOff && text === "off") return text;
    const address = readAddress(text);
    if (address.kind === "problem") {
      const message = address.text === EXPECTED ? expected : address.text;
      context.addIssue({ code: "custom", message });
    } else if (mustBeLocal && !isLocalAddress(address)) {
      context.addIssue({ code: "custom", message: expected });
    } else {
      return writeAddress(address);
    }
    return z.NEVER;
  });
};
export const list = (value: unknown) =>
  typeof value === "string" ? value.split(",").map((part) => part.trim()) : value;
export const path = z.string("expected the path of a file").min(1, "expected the path of a file");
export const oneOf = <const T extends readonly string[]>(names: T) =>
  z.enum(names, `expected ${alternatives(names)}`);
/** True or false: flags and JSON give a boolean, variables a text. */
export const yesOrNo = z
  .union([z.boolean(), z.enum(["true", "false"])], "expected true or false")
  .transform((value) => String(value) === "true");
/** A number, or the text of one: flags and variables are text. Nothing else is made a number. */
const number = (kind: z.ZodNumber) =>
  z.preprocess(
    (value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value),
    kind,
  );
/** A whole number from `min` to `max`. */
export const whole = (unit: string, min: number, max: number) => {
  const expected = `expected whole ${unit} from ${min} to ${max}`;
  const issue = { error: expected, abort: true };
  return number(z.number(issue).int(issue).min(min, issue).max(max, issue));
};
const outside = { error: "expected a number from 0 to 1", abort: true };
export const fraction = number(z.number(outside).min(0, outside).max(1, outside));
export const ms = (max: number) => whole("milliseconds", 1, max);
const absolute = "expected the absolute path of a folder";
export const folder = z.string(absolute).regex(/^\//, absolute);
