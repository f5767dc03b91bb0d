/**
 * Everything that the chart renders is valid, for several releases of Kubernetes and several value
 * sets. No cluster: what a scheduler, a network plugin or a device plugin makes of it stays untested.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, test } from "vitest";
import {
  customSchemas,
  HELM_TIMEOUT_MS,
  installHelm,
  installSchemas,
  KUBERNETES,
  kubernetesSchema,
} from "./deploy-tools.js";
import { lint, mustRender, render, valueSets } from "./rendered.js";
import type { Resource } from "./rendered.js";
import { missingTools } from "./missing-tools.js";

const custom = new Map<string, Record<string, unknown>>();

beforeAll(async () => {
  if (missingTools !== undefined) return;
  await installHelm();
  await installSchemas();
  for (const [key, schema] of await customSchemas()) custom.set(key, schema);
}, HELM_TIMEOUT_MS);

const checks = new Map<string, ValidateFunction>();

/** The check of a kind, compiled once. */
function checkOf({ apiVersion, kind }: Resource, kubernetes: string): ValidateFunction {
  const key = `${apiVersion} ${kind}`;
  const own = custom.get(key);
  const known = checks.get(`${key} ${own === undefined ? kubernetes : ""}`);
  if (known !== undefined) return known;
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  const found = own === undefined ? kubernetesSchema(kubernetes, apiVersion, kind) : undefined;
  if (found !== undefined) ajv.addSchema(found.definitions, "/api/_definitions.json");
  const check = ajv.compile(own ?? { $id: "/api/kind.json", ...found?.schema });
  checks.set(`${key} ${own === undefined ? kubernetes : ""}`, check);
  return check;
}

/** What a schema finds wrong with the resource, one text for each finding. */
function problemsOf(resource: Resource, kubernetes: string): string[] {
  const { kind, metadata } = resource;
  const check = checkOf(resource, kubernetes);
  check(resource);
  return (check.errors ?? []).map(
    ({ instancePath, message = "", params }) =>
      `${kind} ${metadata.name}${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

describe.skipIf(missingTools !== undefined)(`the chart${missingTools ?? ""}`, () => {
  const rendered = valueSets.flatMap(({ name, file }) =>
    KUBERNETES.map((kubernetes) => ({ name, file, kubernetes })),
  );
  const valid = rendered.filter(({ name, kubernetes }) => name !== "dra" || kubernetes >= "1.34");

  test.each(valid)(
    "is valid with $name for Kubernetes $kubernetes",
    async ({ file, kubernetes }) => {
      const linted = await lint({ values: file, kubernetes });
      expect(linted.code, linted.stdout + linted.stderr).toBe(0);
      const { resources } = await mustRender({ values: file, kubernetes });
      expect(resources.length).toBeGreaterThan(10);
      expect(resources.flatMap((each) => problemsOf(each, kubernetes))).toEqual([]);
    },
  );

  test("wants a Kubernetes that allocates devices, where a pool wants that", async () => {
    const file = valueSets.find(({ name }) => name === "dra")?.file ?? "";
    const refused = await render({ values: file, kubernetes: "1.33" });
    expect(refused).toContain("pools.gpu.gpu.deviceClass: dynamic resource allocation needs");
    expect(refused).toContain("1.34, this is v1.33.0: use gpu.resource of a device plugin");
  });

  test("is refused by a Kubernetes that is too old", async () => {
    const file = valueSets.find(({ name }) => name === "minimal")?.file ?? "";
    const refused = await render({ values: file, kubernetes: "1.30" });
    expect(refused).toContain("chart requires kubeVersion: >=1.31.0-0");
  });

  test("would not be valid with a field that Kubernetes does not know", async () => {
    const file = valueSets.find(({ name }) => name === "cert-manager")?.file ?? "";
    const { resources } = await mustRender({ values: file });
    const kinds = [
      "StatefulSet",
      "NetworkPolicy",
      "ServiceMonitor",
      "Certificate",
      "PrometheusRule",
    ];
    for (const kind of kinds) {
      const resource = resources.find((each) => each.kind === kind);
      if (resource === undefined) throw new Error(`no ${kind}`);
      const misspelt = { ...resource, spec: { ...resource.spec, replica: 3 } };
      expect(problemsOf(misspelt, "1.36"), kind).toEqual([expect.stringContaining("replica")]);
    }
  });
});
