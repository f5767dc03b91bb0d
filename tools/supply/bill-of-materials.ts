/**
 * The bill of materials of what is shipped, as CycloneDX 1.5: the npm packages installed without
 * those for development, the prover's wheel with the crates that it is compiled from, the optional
 * prover's wheel, and the native libraries of this project. The same commit gives the same bytes: no time, no serial number,
 * and nothing about the machine or the registry.
 */
import type { Bom, Component, Dependency } from "./cyclonedx.js";
import type { LockedPackage } from "./lock-file.js";
import type { Wheel } from "./wheel.js";
import { wheelRef } from "./wheel.js";

export interface Materials {
  /** Of `npm sbom`, development included: its `--omit dev` drops what is both (npm/cli#7909). */
  npm: Bom;
  locked: readonly LockedPackage[];
  wheel: Wheel;
  /** Of the prover that is installed on request. */
  optional: Wheel;
}

export function billOfMaterials({ npm, locked, wheel, optional }: Materials) {
  const shipped = new Set(
    locked.flatMap(({ name, version, isShipped }) => (isShipped ? `${name}@${version}` : [])),
  );
  const own = { ...npm.metadata.component, name: "lean-aggregator", type: "application" };
  const native = nativeComponents(own);
  const root: Dependency = {
    ref: own["bom-ref"],
    dependsOn: [...directDependencies(npm, shipped), ...native.map((each) => each["bom-ref"])],
  };
  const packages = npm.components.filter((each) => shipped.has(each["bom-ref"]));
  const graph = npm.dependencies.filter(({ ref }) => shipped.has(ref));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: own },
    components: byRef<Component>([
      ...packages,
      ...native,
      wheelComponent(wheel, "required"),
      ...wheel.crates,
      wheelComponent(optional, "optional"),
    ]),
    dependencies: [
      root,
      ...byRef([
        ...graph,
        ...nativeDependencies(native, { wheel, optional, packages }),
        ...wheel.dependencies,
        ...optional.dependencies,
      ]),
    ],
  };
}

const ADDON = "lean_aggregator.node";
const BACKEND = "lean_pq.so";
const OPTIONAL_BACKEND = "lean_multisig.so";
/** Packages whose headers are compiled into the addon. */
const HEADERS = ["node-addon-api", "node-api-headers"];

function directDependencies(npm: Bom, shipped: ReadonlySet<string>): string[] {
  const root = npm.metadata.component["bom-ref"];
  const direct = npm.dependencies.find(({ ref }) => ref === root)?.dependsOn ?? [];
  return direct.filter((ref) => shipped.has(ref));
}

/** Built from `native/` where the service is installed: they have no hash before that. */
function nativeComponents({ version, licenses = [] }: Component): Component[] {
  const library = (name: string, description: string): Component => {
    return { "bom-ref": `native:${name}`, type: "library", name, version, description, licenses };
  };
  return [
    library(ADDON, "Node addon, built from native/addon; loads a backend"),
    library(BACKEND, "Backend, built from native/backends/lean_pq; loads the host's CPython"),
    library(OPTIONAL_BACKEND, "Backend, built from native/backends/lean_multisig, on request"),
  ];
}

function nativeDependencies(
  native: Component[],
  { wheel, optional, packages }: { wheel: Wheel; optional: Wheel; packages: Component[] },
) {
  const headers = packages.filter(({ name }) => HEADERS.includes(name));
  const needs = new Map([
    [ADDON, headers.map((each) => each["bom-ref"])],
    [BACKEND, [wheelRef(wheel)]],
    [OPTIONAL_BACKEND, [wheelRef(optional)]],
  ]);
  return native.map(({ name, "bom-ref": ref }) => ({ ref, dependsOn: needs.get(name) ?? [] }));
}

/** One for the version, and inside it one for each file that is published of it. */
function wheelComponent(wheel: Wheel, scope: "required" | "optional"): Component {
  const { name, version, licence, sha256 } = wheel;
  const ref = wheelRef(wheel);
  const file = (content: string): Component => ({
    "bom-ref": `${ref}#${content}`,
    type: "file",
    name: "wheel of one Python and platform",
    version,
    hashes: [{ alg: "SHA-256", content }],
  });
  return {
    "bom-ref": ref,
    type: "library",
    name,
    version,
    scope,
    purl: `pkg:pypi/${name}@${version}`,
    licenses: [{ expression: licence }],
    components: sha256.map(file),
  };
}

/** In order and each once: npm 10 repeats a package that is installed in two places. */
function byRef<T extends { ref: string } | { "bom-ref": string }>(items: T[]): T[] {
  const refOf = (item: T) => ("ref" in item ? item.ref : item["bom-ref"]);
  const unique = new Map(items.map((item) => [refOf(item), item]));
  return [...unique.values()].sort((a, b) => (refOf(a) < refOf(b) ? -1 : 1));
}
