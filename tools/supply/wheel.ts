/**
 * The provers' wheels. The shipped one, as it is pinned in `native/requirements.txt` and installed by `make
 * setup`: its licence, and the bill of materials that its makers put into it (PEP 770), which names the Rust
 * crates that it is compiled from. The optional one, as pinned: not every machine has it, and the bill is the
 * same on all, so its crates are in its own bill alone.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Bom, Component, Dependency } from "./cyclonedx.js";
import { bom } from "./cyclonedx.js";
import { parseRequirements } from "./requirements.js";

export interface Wheel {
  name: string;
  version: string;
  /** Of each file that is published of this version. */
  sha256: string[];
  /** SPDX expression. */
  licence: string;
  crates: Component[];
  /** Of the wheel and of its crates. */
  dependencies: Dependency[];
}

const manifest = z.object({ sitepackages: z.string() });

/** Throws when `make setup` has not run. */
export function readWheel(root: string): Wheel {
  const text = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
  const [pinned] = parseRequirements(text("native", "requirements.txt"));
  if (pinned === undefined) throw new Error("native/requirements.txt names no wheel");
  const { sitepackages } = manifest.parse(JSON.parse(text("build", "lean_pq.json")));
  const folder = `${pinned.name.replaceAll("-", "_")}-${pinned.version}.dist-info`;
  const installed = (...path: string[]) =>
    readFileSync(join(sitepackages, folder, ...path), "utf8");
  const licence = /^License-Expression: (.+)$/m.exec(installed("METADATA"))?.[1] ?? "";
  const inside = bom.parse(JSON.parse(installed("sboms", `${pinned.name}.cyclonedx.json`)));
  return { ...pinned, licence, ...cratesOf(inside, wheelRef(pinned)) };
}

export function wheelRef({ name, version }: Pick<Wheel, "name" | "version">): string {
  return `pypi:${name}@${version}`;
}

/** As its metadata has it. */
export const OPTIONAL_LICENCE = "MIT OR Apache-2.0";

/** The wheel of `lean_multisig`, which `make setup-multisig` installs. Needs only the checkout. */
export function readOptionalWheel(root: string): Wheel {
  const text = readFileSync(join(root, "native", "requirements-multisig.txt"), "utf8");
  const [pinned] = parseRequirements(text);
  if (pinned === undefined) throw new Error("native/requirements-multisig.txt names no wheel");
  const dependencies = [{ ref: wheelRef(pinned), dependsOn: [] }];
  return { ...pinned, licence: OPTIONAL_LICENCE, crates: [], dependencies };
}

/** With references of our own, and no path: cargo's name the machine that compiled. */
function cratesOf({ metadata, components, dependencies }: Bom, wheel: string) {
  const ours = new Map([[metadata.component["bom-ref"], wheel]]);
  for (const { "bom-ref": ref, name, version } of components)
    ours.set(ref, `cargo:${name}@${version}`);
  const rename = (ref: string) => {
    const renamed = ours.get(ref);
    if (renamed === undefined) throw new Error(`the wheel's bill of materials lacks ${ref}`);
    return renamed;
  };
  const known = ({ ref }: Dependency) => ours.has(ref);
  return {
    crates: components.map(({ purl = "", ...crate }) => ({
      ...crate,
      "bom-ref": rename(crate["bom-ref"]),
      purl: purl.replace(/\?download_url=file:.*/, ""),
    })),
    dependencies: dependencies.filter(known).map(({ ref, dependsOn }) => {
      return { ref: rename(ref), dependsOn: dependsOn.map(rename) };
    }),
  };
}
