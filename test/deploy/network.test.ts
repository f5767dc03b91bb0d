/** What selects whom in the chart: Services, budgets, spreading, policies, and the engine's users. */
import { beforeAll, describe, expect, test } from "vitest";
import { parsePolicy } from "../../server/access/policy-file.js";
import { HELM_TIMEOUT_MS, installHelm } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { flag, mustRender, valueSets } from "./rendered.js";
import type { Release } from "./rendered.js";

beforeAll(async () => {
  if (missingTools === undefined) await installHelm();
}, HELM_TIMEOUT_MS);

type Labels = Record<string, string>;
const matches = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);
const POD_NAME = "statefulset.kubernetes.io/pod-name";

/** The stateful sets whose pods a selector matches. */
function selected(release: Release, { [POD_NAME]: pod, ...selector }: Labels) {
  return release
    .pods()
    .filter(({ labels }) => matches(selector, labels))
    .filter(({ name }) => pod === undefined || pod.replace(/-\d+$/, "") === name);
}
const namesOf = (sets: readonly { name: string }[]) => sets.map(({ name }) => name);
const namesOfPods = (sets: readonly { name: string; replicas: number }[]) =>
  sets.flatMap(({ name, replicas }) => [...Array(replicas).keys()].map((at) => `${name}-${at}`));

describe.skipIf(missingTools !== undefined)(`selectors${missingTools ?? ""}`, () => {
  describe.each(valueSets)("with $name", ({ file }) => {
    const rendered = () => mustRender({ values: file });

    test("a stateful set selects its own pods and no others', also where it spreads them", async () => {
      const release = await rendered();
      for (const { name, selector, pod } of release.pods()) {
        expect(namesOf(selected(release, selector.matchLabels))).toEqual([name]);
        for (const { labelSelector } of pod.topologySpreadConstraints)
          expect(namesOf(selected(release, labelSelector.matchLabels))).toEqual([name]);
      }
    });

    test("each has one disruption budget, and its Service gives its pods their names", async () => {
      const release = await rendered();
      const budgets = release.disruptionBudgets();
      const covered = budgets.flatMap(({ selector }) =>
        namesOf(selected(release, selector.matchLabels)),
      );
      expect(covered.toSorted()).toEqual(namesOf(release.pods()).toSorted());
      for (const { maxUnavailable } of budgets) expect(maxUnavailable).toBe(1);
      for (const { name, serviceName } of release.pods()) {
        const service = release.services().find((each) => each.name === serviceName);
        expect(service).toMatchObject({ clusterIP: "None" });
        expect(namesOf(selected(release, service?.selector ?? {}))).toEqual([name]);
      }
    });

    test("Services and probes lead to ports that exist, and each door has its own Service", async () => {
      const release = await rendered();
      for (const { selector, ports } of release.services()) {
        const sets = selected(release, selector);
        expect(sets).not.toEqual([]);
        for (const { container } of sets)
          for (const { port, targetPort } of ports)
            expect(container.ports).toContainEqual({ name: targetPort, containerPort: port });
      }
      for (const { container } of release.pods())
        for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"] as const)
          expect(container.ports.map(({ name }) => name)).toContain(container[probe].httpGet.port);
      const doors = release.pods().filter(({ container }) => container.args[0] === "serve");
      const single = release.services().flatMap(({ selector }) => selector[POD_NAME] ?? []);
      expect(single).toEqual(namesOfPods(doors));
    });

    test("a door that nodes outside reach sees their addresses", async () => {
      for (const service of (await rendered()).services()) {
        const isOutside = service.type !== undefined && service.type !== "ClusterIP";
        expect(service.externalTrafficPolicy).toBe(isOutside ? "Local" : undefined);
      }
    });

    test("each pod has one policy, which opens ports that exist to those who need them", async () => {
      const release = await rendered();
      const policies = release.networkPolicies();
      for (const set of release.pods()) {
        const own = policies.filter(({ podSelector }) =>
          matches(podSelector.matchLabels, set.labels),
        );
        expect(own, set.name).toHaveLength(1);
        const [{ policyTypes, ingress, egress } = { policyTypes: [], ingress: [], egress: [] }] =
          own;
        expect(policyTypes).toEqual(["Ingress", "Egress"]);
        const open = set.container.ports.map(({ containerPort }) => containerPort);
        for (const { ports } of ingress)
          expect(open).toEqual(expect.arrayContaining(ports.map(({ port }) => port)));
        for (const { ports, to = [] } of egress) {
          if (ports.every(({ port }) => port === 53)) continue;
          expect(to).not.toEqual([]); // else: to everybody
          for (const peer of to) {
            if (!("podSelector" in peer)) continue;
            const targets = selected(release, peer.podSelector.matchLabels);
            expect(targets).not.toEqual([]);
            for (const target of targets) {
              expect(canEnter(policies, set.labels, target.labels)).toEqual(
                expect.arrayContaining(ports.map(({ port }) => port)),
              );
            }
          }
        }
      }
    });

    test("the policy of the doors is one that they take, and has the operator in the pod", async () => {
      const release = await rendered();
      const { principals } = parsePolicy(
        release.file("fleet-lean-aggregator-policy", "policy.json"),
      );
      expect(principals.length).toBeGreaterThan(1);
      const [door] = release.pods().filter(({ container }) => container.args[0] === "serve");
      const socket = door && flag(door.container, "admin")?.replace("unix:", "");
      expect(principals.at(-1)).toMatchObject({ operatorCalls: ["*"] });
      expect(principals.at(-1)?.sockets).toContain(socket);
    });
  });

  test("each door has the annotations with its own number, and its certificate their names", async () => {
    const { file = "" } = valueSets.find(({ name }) => name === "cert-manager") ?? {};
    const { resources } = await mustRender({ values: file });
    const annotated = resources.flatMap(({ kind, metadata: { annotations = {} } }) =>
      kind === "Service" ? Object.values(annotations) : [],
    );
    expect(annotated).toEqual([
      "door-0.lean.example",
      "door-1.lean.example",
      "door-2.lean.example",
    ]);
    const certificate = resources.find(
      ({ kind, metadata }) => kind === "Certificate" && metadata.name.endsWith("-doors"),
    );
    expect(certificate?.spec?.["dnsNames"]).toEqual(expect.arrayContaining(annotated));
  });

  test("pods of one name in two namespaces are two instances to Prometheus", async () => {
    const { file = "" } = valueSets.find(({ name }) => name === "cert-manager") ?? {};
    const { resources } = await mustRender({ values: file });
    const monitors = resources.filter(({ kind }) => kind === "ServiceMonitor");
    const sourceLabels = ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"];
    const relabelings = [{ sourceLabels, separator: "/", targetLabel: "instance" }];
    expect(monitors.map(({ spec }) => spec)).toMatchObject([{ endpoints: [{ relabelings }] }]);
  });
});

/** The ports that the target's policies open to pods with these labels. */
function canEnter(
  policies: ReturnType<Release["networkPolicies"]>,
  from: Labels,
  target: Labels,
): number[] {
  return policies
    .filter(({ podSelector }) => matches(podSelector.matchLabels, target))
    .flatMap(({ ingress }) => ingress)
    .filter(
      (rule) =>
        rule.from === undefined ||
        rule.from.some(
          (peer) => "podSelector" in peer && matches(peer.podSelector.matchLabels, from),
        ),
    )
    .flatMap(({ ports }) => ports.map(({ port }) => port));
}
