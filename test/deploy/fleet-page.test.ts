/**
 * The commands of docs/operate/fleet.md work as they stand there: certificates, secrets, values, names. So do
 * those of docs/operate/upgrade.md, in their order.
 */
import { X509Certificate } from "node:crypto";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { parseDocument } from "../../tools/site/document.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { HELM_TIMEOUT_MS, installHelm } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { flag, mustRender } from "./rendered.js";
import type { Release } from "./rendered.js";

const page = readFileSync("docs/operate/fleet.md", "utf8");
const { blocks } = parseDocument(page);
const upgradePage = readFileSync("docs/operate/upgrade.md", "utf8");
const folder = temporaryFolder();
const secrets = join(folder, "secrets");
const values = join(folder, "values.yaml");
let release: Release;

/** The code block that contains the text, without its indent. */
const blockWith = (text: string) => blocks.find((block) => block.text.includes(text))?.text ?? "";

/** `kubectl create secret generic NAME --from-file=[KEY=]PATH…` as a folder; all else does nothing. */
const KUBECTL = `#!/bin/bash
shift 2
[ "$1 $2" = "create secret" ] || exit 0
out="${secrets}/$4"; mkdir "$out"; shift 4
for argument in "$@"; do
  file="\${argument#--from-file=}"; key="\${file%%=*}"
  cp "\${file#*=}" "$out/$(basename "$key")"
done
`;

beforeAll(async () => {
  if (missingTools !== undefined) return;
  await installHelm();
  mkdirSync(secrets);
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/kubectl"), KUBECTL);
  chmodSync(join(folder, "bin/kubectl"), 0o755);
  symlinkSync(join(process.cwd(), "deploy"), join(folder, "deploy"));
  const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}` };
  execFileSync("bash", ["-ec", blockWith("deploy/certificates.sh certs")], { cwd: folder, env });
  writeFileSync(
    values,
    blockWith("repository: REGISTRY").replace("REGISTRY", "registry.example.org"),
  );
  release = await mustRender({ values });
}, HELM_TIMEOUT_MS);

const certificate = (secret: string, key: string) =>
  new X509Certificate(readFileSync(join(secrets, secret, key)));
const keysOf = (secret: string) => readdirSync(join(secrets, secret)).toSorted();

describe.skipIf(missingTools !== undefined)(`the fleet's page${missingTools ?? ""}`, () => {
  test("makes every secret that the pods mount, with the keys that they want", () => {
    const wanted = z.object({ secretName: z.string() });
    const volumes = release.pods().flatMap(({ pod }) => pod.volumes);
    const names = volumes.flatMap((volume) =>
      "secret" in volume ? [wanted.parse(volume.secret).secretName] : [],
    );
    expect(readdirSync(secrets).toSorted()).toEqual([...new Set(names)].toSorted());
    for (const name of ["lean-aggregator-doors", "lean-aggregator-engine"])
      expect(keysOf(name)).toEqual(["ca.crt", "tls.crt", "tls.key"]);
    expect(keysOf("lean-aggregator-nodes")).toEqual(["ca.crt"]);
  });

  test("makes a certificate for each user of the engine, under its name", () => {
    const permissions = release.file("fleet-lean-aggregator-engine", "permissions.conf");
    const users = [...permissions.matchAll(/user: "([^"]+)"/g)].map(([, user = ""]) => user);
    expect(users).toHaveLength(10);
    const files = users.flatMap((user) => [`${user}.crt`, `${user}.key`]);
    expect(keysOf("lean-aggregator-engine-clients")).toEqual(["ca.crt", ...files].toSorted());
    for (const user of users) {
      const { subjectAltName } = certificate("lean-aggregator-engine-clients", `${user}.crt`);
      expect(subjectAltName).toBe(`DNS:${user}`);
    }
  });

  test("makes certificates for the names by which servers and doors are called", () => {
    const [{ container } = { container: undefined }] = release.pods();
    const servers = container && flag(container, "engine")?.split(",");
    expect(servers).toHaveLength(3);
    for (const server of servers ?? []) {
      const { hostname } = new URL(server);
      expect(certificate("lean-aggregator-engine", "tls.crt").checkHost(hostname)).toBeDefined();
    }
    const doors = release.services().filter(({ name }) => /-door-\d+$/.test(name));
    expect(doors).toHaveLength(2);
    for (const { name } of doors)
      expect(
        certificate("lean-aggregator-doors", "tls.crt").checkHost(`${name}.lean.svc`),
      ).toBeDefined();
  });

  test("restarts all pods that keep the certificate with which they started", () => {
    const keeping = release
      .pods()
      .filter(({ container }) =>
        container.volumeMounts.some((mount) => (mount.subPath ?? mount.subPathExpr) !== undefined),
      );
    const [command = ""] = /kubectl -n lean rollout restart[^`]*/.exec(page) ?? [];
    const restarted = [...command.matchAll(/statefulset\/([\w-]+)/g)].map(([, name = ""]) => name);
    expect(restarted.toSorted()).toEqual(keeping.map(({ name }) => name).toSorted());
    expect(restarted).toHaveLength(2);
  });

  test("names stateful sets, Services and pods that exist", () => {
    const sets = release.pods().map(({ name }) => name);
    for (const [, name = ""] of (page + upgradePage).matchAll(/statefulset\/([\w-]+)/g))
      expect(sets).toContain(name);
    const pods = release
      .pods()
      .flatMap(({ name, replicas }) => [...Array(replicas).keys()].map((at) => `${name}-${at}`));
    for (const [, name = ""] of page.matchAll(/exec (?:-i )?(fleet-[\w-]+) -- lean-agg/g))
      expect(pods).toContain(name);
    const services = release.services().map(({ name }) => name);
    for (const [, name = ""] of page.matchAll(/https:\/\/([\w-]+)\.lean\.svc/g))
      expect(services).toContain(name);
  });

  test("upgrades servers, then lane hosts, then doors, and holds the later ones back", async () => {
    const commands = upgradePage.match(/^ +\$upgrade .*$/gm) ?? [];
    const steps = commands.map((command) =>
      [...command.matchAll(/--set (\w+\.partition=\d+)/g)].map(([, set = ""]) => set),
    );
    const restarted = await Promise.all(
      steps.map(async (set) =>
        (await mustRender({ values, set }))
          .pods()
          .filter(({ updateStrategy }) => updateStrategy.rollingUpdate.partition === 0)
          .map(({ name }) => name.replace("fleet-lean-aggregator-", "")),
      ),
    );
    expect(restarted.map((names) => names.toSorted())).toEqual([
      ["engine"],
      ["cpu", "engine"],
      ["cpu", "door", "engine"],
    ]);
    const held = (await mustRender({ values, set: steps[0] ?? [] })).pods();
    for (const { name, replicas, updateStrategy } of held) {
      const { partition } = updateStrategy.rollingUpdate;
      expect(partition === 0 || partition >= replicas, name).toBe(true);
    }
  });

  test("upgrades one pool while the others are held back", async () => {
    const set = ["poolDefaults.partition=256", 'pools={"cpu": {"partition": 0}, "gpu": {}}'];
    const pods = (await mustRender({ values, set })).pods();
    const partitions = pods.map(({ name, updateStrategy }) => [
      name.replace("fleet-lean-aggregator-", ""),
      updateStrategy.rollingUpdate.partition,
    ]);
    expect(Object.fromEntries(partitions)).toEqual({ cpu: 0, gpu: 256, door: 0, engine: 0 });
  });
});
