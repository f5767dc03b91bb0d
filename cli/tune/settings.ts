/** The settings of `tune`: those of `serve` that say what proves, and on what. */
import { z } from "zod";
import { settingKeys } from "../../server/config/config.js";
import { checkFake, deviceSettings } from "../../server/config/devices.js";
import { parseSettings } from "../../server/config/parse.js";
import { proveSettingKeys } from "../../server/config/prove-config.js";
import { DEVICE_SETTINGS } from "../run/device-settings.js";
import { unknownVariables } from "../io/environment.js";
import { knownVariables } from "../run/settings.js";
import type { CommandSettings } from "../run/settings-sources.js";

const settings = z.strictObject(deviceSettings);
const schema = settings.superRefine((config, context) => {
  checkFake(config, (key, message) => {
    context.addIssue({ code: "custom", path: [key], message });
  });
});

export type TuneSettings = z.infer<typeof schema>;

const FLAGS = /^--(prover|fake-time|fake-seed|fake-failures|devices|runtime-dir) /;
const deviceKeys = Object.keys(settings.shape);
/** Settings of a file for `serve` or `prove` that `tune` has no use for. */
const otherKeys = [...settingKeys, ...proveSettingKeys].filter((key) => !deviceKeys.includes(key));

export const tuneSettings: CommandSettings<TuneSettings> = {
  command: "tune",
  keys: deviceKeys,
  help: DEVICE_SETTINGS.filter(([flags]) => FLAGS.test(`${flags} `)),
  shownDefaults: () => ({
    ...settings.parse({}),
    devices: ["cpu"],
    fakeTime: "200",
    fakeSeed: "1",
    runtimeDir: "as of serve",
  }),
  parse: (sources) => parseSettings(schema, sources.map(withoutOthers)),
  unknownIn: (env) => unknownVariables(env, knownVariables),
};

function withoutOthers(source: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(source).filter(([key]) => !otherKeys.includes(key));
  return Object.fromEntries(kept);
}
