/** What helm renders of the chart, as objects. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { run } from "../interop/interop-tools.js";
import { helm } from "./deploy-tools.js";

const CHART = "deploy/helm/lean-aggregator";
const NAMESPACE = "lean";

const labels = z.record(z.string(), z.string());
const selector = z.strictObject({ matchLabels: labels });
const container = z.looseObject({
  name: z.string(),
  args: z.array(z.string()).default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })),
  resources: z.object({
    requests: z.record(z.string(), z.union([z.string(), z.number()])),
    limits: z.record(z.string(), z.union([z.string(), z.number()])),
    claims: z.array(z.object({ name: z.string() })).optional(),
  }),
  securityContext: z.unknown(),
  lifecycle: z
    .object({ preStop: z.looseObject({ sleep: z.object({ seconds: z.number() }).optional() }) })
    .optional(),
  startupProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }),
  livenessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }),
  volumeMounts: z.array(
    z.looseObject({
      name: z.string(),
      mountPath: z.string(),
      subPath: z.string().optional(),
      subPathExpr: z.string().optional(),
      readOnly: z.boolean().default(false),
    }),
  ),
});
const podSpec = z.looseObject({
  automountServiceAccountToken: z.boolean(),
  enableServiceLinks: z.boolean(),
  serviceAccountName: z.string(),
  terminationGracePeriodSeconds: z.number(),
  securityContext: z.looseObject({}),
  containers: z.tuple([container]),
  volumes: z.array(z.looseObject({ name: z.string() })),
  topologySpreadConstraints: z.array(
    z.looseObject({ topologyKey: z.string(), labelSelector: selector }),
  ),
  resourceClaims: z.array(z.looseObject({ name: z.string() })).optional(),
});
const peer = z.union([
  z.strictObject({ podSelector: selector }),
  z.strictObject({ namespaceSelector: selector }),
  z.strictObject({ ipBlock: z.object({ cidr: z.string() }) }),
]);
const rule = z.object({
  ports: z.array(z.object({ protocol: z.string(), port: z.number() })),
  from: z.array(peer).optional(),
  to: z.array(peer).optional(),
});
const resource = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), labels, annotations: labels.optional() }),
  spec: z.record(z.string(), z.unknown()).optional(),
  data: z.record(z.string(), z.string()).optional(),
});
const statefulSet = z.looseObject({
  serviceName: z.string(),
  replicas: z.number(),
  updateStrategy: z.strictObject({
    type: z.literal("RollingUpdate"),
    rollingUpdate: z.strictObject({ partition: z.number() }),
  }),
  selector,
  template: z.object({ metadata: z.looseObject({ labels }), spec: podSpec }),
});
const service = z.looseObject({
  selector: labels,
  type: z.string().optional(),
  externalTrafficPolicy: z.string().optional(),
  ports: z.array(z.looseObject({ name: z.string(), port: z.number(), targetPort: z.string() })),
});
const disruptionBudget = z.looseObject({ maxUnavailable: z.number(), selector });
const networkPolicy = z.object({
  podSelector: selector,
  policyTypes: z.array(z.string()),
  ingress: z.array(rule),
  egress: z.array(rule),
});

export type Resource = z.infer<typeof resource>;
export type Container = z.infer<typeof container>;

/** Everything that one release consists of. Kinds without a method here are checked by schema only. */
export class Release {
  constructor(readonly resources: readonly Resource[]) {}

  /** The stateful sets, each with its pod and that one's container. */
  pods() {
    return this.of("StatefulSet", statefulSet).map(({ template, ...rest }) => ({
      ...rest,
      labels: template.metadata.labels,
      pod: template.spec,
      container: template.spec.containers[0],
    }));
  }

  services() {
    return this.of("Service", service);
  }

  disruptionBudgets() {
    return this.of("PodDisruptionBudget", disruptionBudget);
  }

  networkPolicies() {
    return this.of("NetworkPolicy", networkPolicy);
  }

  /** The text of a config map's file. */
  file(map: string, file: string): string {
    const found = this.resources.find(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === map,
    );
    const text = found?.data?.[file];
    if (text === undefined) throw new Error(`${map} has no ${file}`);
    return text;
  }

  private of<Spec extends object>(kind: string, schema: z.ZodType<Spec>) {
    return this.resources
      .filter((each) => each.kind === kind)
      .map(({ metadata, spec }) => ({ ...schema.parse(spec), name: metadata.name }));
  }
}

/** The value of a flag as a container gives it; undefined without it. */
export function flag({ args }: Container, name: string): string | undefined {
  const given = args.find((arg) => arg.startsWith(`--${name}=`));
  return given?.slice(name.length + 3);
}

/** The value sets in the chart's own folder. */
export const valueSets = readdirSync(join(CHART, "ci")).map((file) => ({
  name: basename(file, "-values.yaml"),
  file: join(CHART, "ci", file),
}));

export interface RenderOptions {
  values: string;
  kubernetes?: string;
  set?: readonly string[];
}

const argumentsOf = ({ values, kubernetes = "1.36", set = [] }: RenderOptions) => [
  ...["-f", values, "--kube-version", `${kubernetes}.0`],
  ...set.flatMap((each) => ["--set-json", each]),
];

/** Renders the chart; the error of helm where it refuses. */
export async function render(options: RenderOptions): Promise<Release | string> {
  const args = ["template", "fleet", CHART, "-n", NAMESPACE, ...argumentsOf(options)];
  const { code, stdout, stderr } = await run(helm(), args);
  if (code !== 0) return stderr;
  // As Kubernetes reads it: 0440 is octal.
  const documents = parseAllDocuments(stdout, { version: "1.1" }).map((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.join("; "));
    return document.toJS() as unknown;
  });
  return new Release(documents.filter((each) => each !== null).map((each) => resource.parse(each)));
}

export async function mustRender(options: RenderOptions): Promise<Release> {
  const rendered = await render(options);
  if (typeof rendered === "string") throw new Error(rendered);
  return rendered;
}

export const lint = (options: RenderOptions) =>
  run(helm(), ["lint", CHART, "--strict", ...argumentsOf(options)]);
