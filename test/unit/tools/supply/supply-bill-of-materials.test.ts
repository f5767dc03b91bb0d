/** The bill of materials: valid, whole, and the same wherever it is written. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { beforeAll, expect, test } from "vitest";
import { billOfMaterials } from "../../../../tools/supply/bill-of-materials.js";
import { bom } from "../../../../tools/supply/cyclonedx.js";
import { parseLockFile } from "../../../../tools/supply/lock-file.js";
import { parseRequirements } from "../../../../tools/supply/requirements.js";
import { OPTIONAL_LICENCE, readOptionalWheel, readWheel } from "../../../../tools/supply/wheel.js";

const locked = parseLockFile(readFileSync("package-lock.json", "utf8"));
const sha256 = parseRequirements(readFileSync("native/requirements.txt", "utf8"))[0]?.sha256;
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
let text = "";
let bill: ReturnType<typeof billOfMaterials>;

beforeAll(() => {
  text = execFileSync(process.execPath, ["dist/tools/supply/write-sbom.js"], { encoding: "utf8" });
  bill = JSON.parse(text) as typeof bill;
});

test("it is valid CycloneDX 1.5, and the validator finds fault with what is not", async () => {
  expect(await validator.validate(text)).toBeNull();
  expect(await validator.validate(text.replace('"library"', '"libary"'))).not.toBeNull();
});

test("it names every npm package that is shipped, with licence and hash, and no other", () => {
  const idOf = ({ name, version }: { name: string; version: string }) => `${name}@${version}`;
  const shipped = new Map(
    locked.flatMap((each) => (each.isShipped ? [[idOf(each), each.integrity] as const] : [])),
  );
  const named = bill.components.filter(({ purl = "" }) => purl.startsWith("pkg:npm/"));
  expect(named.map(idOf).sort()).toEqual([...shipped.keys()].sort());
  for (const each of named) {
    const integrity = shipped.get(idOf(each))?.replace(/^sha512-/, "") ?? "";
    const content = Buffer.from(integrity, "base64").toString("hex");
    expect(each.hashes, each.name).toContainEqual({ alg: "SHA-512", content });
    expect(each.licenses, each.name).not.toEqual([]);
  }
});

test("it names the wheel by every pinned hash, and the crates inside it", () => {
  const wheel = bill.components.find(({ purl }) => purl === "pkg:pypi/py-lean-pq@0.7.0");
  const hashes = wheel?.components?.flatMap((file) => file.hashes ?? []);
  expect(hashes).toEqual(sha256?.map((content) => ({ alg: "SHA-256", content })));
  expect(bill.components.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["leanvm", "pyo3", "lean_pq.so", "lean_aggregator.node"]),
  );
});

test("it names the optional prover's wheel by every pinned hash, on machines without it too", () => {
  const wheel = bill.components.find(({ purl }) => purl === "pkg:pypi/py-lean-multisig@0.4.0");
  const pinned = parseRequirements(readFileSync("native/requirements-multisig.txt", "utf8"))[0];
  const hashes = wheel?.components?.flatMap((file) => file.hashes ?? []);
  expect(hashes).toEqual(pinned?.sha256.map((content) => ({ alg: "SHA-256", content })));
  expect(wheel).toMatchObject({ scope: "optional", licenses: [{ expression: OPTIONAL_LICENCE }] });
  const backend = bill.dependencies.find(({ ref }) => ref === "native:lean_multisig.so");
  expect(backend?.dependsOn).toEqual([wheel?.["bom-ref"]]);
});

/** Its metadata, where it is installed. */
const installed = existsSync(".multisig-venv/lib")
  ? readdirSync(".multisig-venv/lib", { recursive: true, encoding: "utf8" }).filter((path) =>
      /py_lean_multisig-[^/]*\/METADATA$/.test(path),
    )
  : [];

test.runIf(installed.length > 0)("its licence is the one that the wheel itself names", () => {
  const metadata = readFileSync(join(".multisig-venv/lib", installed[0] ?? ""), "utf8");
  expect(metadata).toContain(`License-Expression: ${OPTIONAL_LICENCE}\n`);
});

test("the service depends on all of it, and nothing in it is unknown", () => {
  const known = new Set(bill.components.map((each) => each["bom-ref"]));
  const edges = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const reached = new Set<string>();
  const visit = (ref: string) => {
    for (const next of edges.get(ref) ?? [])
      if (!reached.has(next)) visit((reached.add(next), next));
  };
  visit(bill.metadata.component["bom-ref"]);
  expect([...reached].filter((ref) => !known.has(ref))).toEqual([]);
  expect([...known].filter((ref) => !reached.has(ref))).toEqual([]);
});

test("it tells nothing of the machine, the registry or the time", () => {
  expect(text).not.toMatch(/file:|\/home\/|\/root\/|timestamp|serialNumber|node_modules/);
  expect(text).not.toContain(process.cwd());
  const hosts = [...text.matchAll(/https?:\/\/([^/"]+)/g)].map(([, host]) => host);
  expect(new Set(hosts)).toEqual(new Set(["github.com"])); // leanVM's source, by commit
});

test("a package that is both shipped and a tool's is in it, whatever npm leaves out", () => {
  const component = { "bom-ref": "a@1.0.0", type: "library", name: "folder", version: "1.0.0" };
  const shared = { ...component, "bom-ref": "b@2.0.0", name: "b" };
  const tool = { ...component, "bom-ref": "c@3.0.0", name: "c" };
  const npm = bom.parse({
    metadata: { component },
    components: [shared, tool, shared], // npm 10 names what is installed twice twice
    dependencies: [{ ref: "a@1.0.0", dependsOn: ["b@2.0.0", "c@3.0.0"] }],
  });
  const packages = [
    { name: "b", version: "2.0.0", licence: "MIT", integrity: "", isShipped: true },
    { name: "c", version: "3.0.0", licence: "MIT", integrity: "", isShipped: false },
  ];
  const wheel = readWheel(process.cwd());
  const optional = readOptionalWheel(process.cwd());
  const { components, dependencies } = billOfMaterials({ npm, locked: packages, wheel, optional });
  expect(components.filter(({ name }) => name === "b")).toEqual([shared]);
  expect(components).not.toContainEqual(tool);
  expect(dependencies[0]?.dependsOn).toContain("b@2.0.0");
  expect(dependencies[0]?.dependsOn).not.toContain("c@3.0.0");
});
