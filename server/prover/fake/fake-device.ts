/**
 * What the fake provers of one device stand for: the field `fake` of a device. Devices of several proof
 * systems, and of several speeds and failures, can so be in one service.
 */
import { z } from "zod";
import { limits } from "../../limits.js";
import { FAKE_SIGNATURE_BYTES_MIN } from "./fake.js";
import type { FakeAccepts, FakeProverOptions } from "./fake.js";
import type { FakeLimits } from "./fake-limits.js";
import { fakeLimitsSchema } from "./fake-limits.js";
import type { FakePlanSettings } from "./fake-plan.js";
import { fakeFailuresSchema, fakeTimeSchema } from "./fake-plan.js";

const named = `expected a name of 1 to ${limits.proverNameLengthMax} characters without spaces`;
const name = z
  .string(named)
  .regex(/^[\x21-\x7e]+$/, named)
  .max(limits.proverNameLengthMax, named);
const bytes = (min: number) => {
  const expected = `expected a whole number of bytes from ${min} to ${limits.proverItemBytesMax}`;
  return z
    .number(expected)
    .int(expected)
    .min(min, expected)
    .max(limits.proverItemBytesMax, expected);
};

/** Schema of the field `fake`. What is left out is as the settings `fakeTime` and so on say. */
export const fakeDeviceSchema = z.strictObject({
  /** Name of the signature scheme. Default: fake. */
  scheme: name.optional(),
  /** Default: fake-1, or fake-any-1 with `fakeAccepts` any. */
  revision: name.optional(),
  /** Default: 32. */
  publicKeyBytes: bytes(1).optional(),
  /** Default: 64. */
  signatureBytes: bytes(FAKE_SIGNATURE_BYTES_MIN).optional(),
  /** As the setting `fakeTime`. */
  time: fakeTimeSchema.optional(),
  /** As the setting `fakeFailures`. */
  failures: fakeFailuresSchema.optional(),
  /** As the setting `fakeLimits`. */
  limits: fakeLimitsSchema.optional(),
});

export type FakeDevice = z.infer<typeof fakeDeviceSchema>;

/** The settings that hold for all fake devices, where the device has none of its own. */
export interface FakeSettings extends FakePlanSettings {
  fakeAccepts?: FakeAccepts | undefined;
  fakeLimits?: FakeLimits | undefined;
}

/** What a device's fake provers are started with, but for their plan of times and failures. */
export interface FakeDeviceOptions {
  readonly prover: Pick<FakeProverOptions, "accepts" | "system" | "foldLimits">;
  readonly plan: FakePlanSettings;
}

export function fakeDeviceOptions(
  settings: FakeSettings,
  fake: FakeDevice = {},
): FakeDeviceOptions {
  const { fakeAccepts: accepts = "own", fakeTime, fakeSeed, fakeFailures, fakeLimits } = settings;
  const { time, failures, limits: own, ...system } = fake;
  return {
    prover: { accepts, system: given(system), foldLimits: own ?? fakeLimits },
    plan: { fakeTime: time ?? fakeTime, fakeSeed, fakeFailures: failures ?? fakeFailures },
  };
}

/** Without what is undefined, which would hide a default. */
function given(system: Omit<FakeDevice, "time" | "failures" | "limits">) {
  return Object.fromEntries(Object.entries(system).filter(([, value]) => value !== undefined));
}
