/** Helm, and the schemas of what it renders. Built or fetched once, pinned, into `out/`. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { hasProgram, mustRun } from "../interop/interop-tools.js";
import { parseRequirements } from "../../tools/supply/requirements.js";

const out = join(process.cwd(), "out");
const OWN_HELM = join(out, "bin/helm");
const HELM_MODULE = "helm.sh/helm/v3/cmd/helm@v3.22.0";
/** Two idle cores build it in 2 minutes. */
export const HELM_TIMEOUT_MS = 900_000;

/** The one on the path, or one built here. */
export const helm = () => (hasProgram("helm", "version") ? "helm" : OWN_HELM);

/** Builds helm unless it is there. */
export async function installHelm(): Promise<void> {
  if (hasProgram(helm(), "version")) return;
  await mustRun("go", ["install", HELM_MODULE], { env: { GOBIN: join(out, "bin") } });
}

/** The releases of Kubernetes that the chart is rendered for. */
export const KUBERNETES = ["1.31", "1.33", "1.36"] as const;

const REQUIREMENTS = "test/deploy/schemas.txt";
const schemas = join(out, "deploy-schemas");
const kubernetesFolder = join(schemas, "kubernetes_validate/kubernetes-json-schema");
const COMPOSE_SCHEMA = "check_jsonschema/builtin_schemas/vendor/compose-spec.json";
/** Takes the named folders and files out of a wheel: WHEEL FOLDER PREFIX… */
const EXTRACT = `
import sys, zipfile
wheel, folder, *prefixes = sys.argv[1:]
with zipfile.ZipFile(wheel) as opened:
    for name in opened.namelist():
        if name.startswith(tuple(prefixes)):
            opened.extract(name, folder)
`;

/** Fetches the schemas of Kubernetes and of compose files unless they are there. */
export async function installSchemas(): Promise<void> {
  if (existsSync(join(schemas, COMPOSE_SCHEMA))) return;
  const wheels = join(out, "deploy-wheels");
  mkdirSync(wheels, { recursive: true });
  const hashed = ["--require-hashes", "--no-deps", "--only-binary=:all:", "-r", REQUIREMENTS];
  await mustRun("python3", ["-m", "pip", "download", "-q", ...hashed, "-d", wheels]);
  const strict = KUBERNETES.map(
    (version) => `kubernetes_validate/kubernetes-json-schema/v${version}.0-local-strict/`,
  );
  for (const { name, version } of parseRequirements(readFileSync(REQUIREMENTS, "utf8"))) {
    const start = `${name.replaceAll("-", "_")}-${version}-`;
    const wheel = readdirSync(wheels).find((file) => file.startsWith(start)) ?? start;
    const args = ["-c", EXTRACT, join(wheels, wheel), schemas, ...strict, COMPOSE_SCHEMA];
    await mustRun("python3", args);
  }
}

const jsonObject = z.record(z.string(), z.unknown());
const readJson = (path: string) => jsonObject.parse(JSON.parse(readFileSync(path, "utf8")));

/** A kind's strict schema, and the definitions that it refers to as `/api/_definitions.json`. */
export function kubernetesSchema(kubernetes: string, apiVersion: string, kind: string) {
  const folder = join(kubernetesFolder, `v${kubernetes}.0-local-strict`);
  const [version = "", group] = apiVersion.split("/").toReversed();
  const parts = [kind.toLowerCase(), group?.split(".")[0], version];
  const file = `${parts.filter((part) => part !== undefined).join("-")}.json`;
  return {
    schema: readJson(join(folder, file)),
    definitions: readJson(join(folder, "_definitions.json")),
  };
}

export const composeSchema = () => readJson(join(schemas, COMPOSE_SCHEMA));

/** Kinds of others, and where their Go modules have the definition. */
const CUSTOM = {
  "monitoring.coreos.com/v1 ServiceMonitor": [
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
  ],
  "monitoring.coreos.com/v1 PrometheusRule": [
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
  ],
  "cert-manager.io/v1 Certificate": [
    "github.com/cert-manager/cert-manager@v1.21.2",
    "deploy/crds/cert-manager.io_certificates.yaml",
  ],
} as const;
const definition = z.object({
  spec: z.object({
    versions: z.array(
      z.object({ name: z.string(), schema: z.object({ openAPIV3Schema: jsonObject }) }),
    ),
  }),
});

/** Schemas of kinds that are no part of Kubernetes, by `apiVersion kind`; Go fetches them. */
export async function customSchemas(): Promise<Map<string, Record<string, unknown>>> {
  const read = new Map<string, Record<string, unknown>>();
  for (const [key, [module, path]] of Object.entries(CUSTOM)) {
    const downloaded = await mustRun("go", ["mod", "download", "-json", module]);
    const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(downloaded));
    const { spec } = definition.parse(parse(readFileSync(join(Dir, path), "utf8")));
    const version = spec.versions.find(({ name }) => key.includes(`/${name} `));
    if (version === undefined) throw new Error(`${path} has no version of ${key}`);
    read.set(key, jsonObject.parse(strict(version.schema.openAPIV3Schema)));
  }
  return read;
}

/**
 * The schema, with an error for each field that it does not name. Without the patterns that only Go
 * understands.
 */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  const object = jsonObject.safeParse(schema);
  if (!object.success) return schema;
  const inner = Object.entries(object.data)
    .filter(([key, value]) => key !== "pattern" || !String(value).includes("(?i)"))
    .map(([key, value]) => [key, strict(value)] as const);
  const isClosed =
    "properties" in object.data && !("x-kubernetes-preserve-unknown-fields" in object.data);
  return { ...Object.fromEntries(inner), ...(isClosed && { additionalProperties: false }) };
}
