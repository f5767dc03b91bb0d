/**
 * Reads the flags and variables of a container as its command would: by the command line's own
 * parser, with files of this machine in the place of those that the container mounts.
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Command } from "commander";
import { addProveOptions, readProveSettings } from "../../cli/run/prove-settings.js";
import { addSettingsOptions, readSettings } from "../../cli/run/settings.js";
import { sourcesOf } from "../../cli/run/settings-sources.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

/** An absolute path, but not the slashes of a URL. */
const PATH = /(?<=^|[=,:])\/(?!\/)[^,]*/g;

const folder = temporaryFolder();
const authority = new Authority("fleet");
const { certificate, key } = authority.issue();
const write = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const files = {
  authority: write("ca.crt", authority.certificate),
  certificate: write("own.crt", certificate),
  key: write("own.key", key),
};

/** The path here for one in the container. */
function pathHere(path: string): string {
  if (basename(path) === "ca.crt") return files.authority;
  if (path.endsWith(".crt")) return files.certificate;
  if (path.endsWith(".key")) return files.key;
  return path.endsWith(".sock") || path.endsWith(".json") ? join(folder, basename(path)) : folder;
}

const valueHere = (text: string) =>
  text.replaceAll("$(POD_NAME)", "pod-0").replace(PATH, (path) => pathHere(path));

/** The settings; throws the error that the command would print. */
export function settingsOf(
  [command = "", ...args]: readonly string[],
  variables: Readonly<Record<string, string>> = {},
) {
  const env = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, valueHere(value)]),
  );
  const isDoor = command === "serve";
  const parser = (isDoor ? addSettingsOptions : addProveOptions)(new Command(command));
  parser.exitOverride().configureOutput({ writeErr: () => undefined });
  parser.parse(args.map(valueHere), { from: "user" });
  const sources = sourcesOf(parser.opts(), env);
  return isDoor
    ? { command: "serve" as const, ...readSettings(sources) }
    : { command: "prove" as const, ...readProveSettings(sources) };
}
