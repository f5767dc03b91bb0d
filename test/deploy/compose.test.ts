/** The fleet on one machine: its compose file is valid, finds its files, and has the chart's rules. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { parsePolicy } from "../../server/access/policy-file.js";
import { NATS_SERVER, startNats } from "../../tools/harness/processes/nats.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { composeSchema, HELM_TIMEOUT_MS, installHelm, installSchemas } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { settingsOf } from "./read-flags.js";
import { mustRender, valueSets } from "./rendered.js";

const FOLDER = "deploy/compose";
const read = (file: string) => readFileSync(join(FOLDER, file), "utf8");
const text = read("compose.yaml");
const file: unknown = parse(text, { merge: true });
const { services } = z
  .object({
    services: z.record(
      z.string(),
      z.looseObject({
        environment: z.record(z.string(), z.string()).default({}),
        command: z.array(z.string()).default([]),
        volumes: z.array(z.string()).default([]),
        tmpfs: z.array(z.string()).default([]),
        user: z.string().optional(),
        read_only: z.boolean().optional(),
        cap_drop: z.array(z.string()),
        stop_grace_period: z.string().optional(),
      }),
    ),
  })
  .parse(file);
const own = Object.entries(services).filter(([name]) => !["prometheus", "grafana"].includes(name));

beforeAll(async () => {
  if (missingTools !== undefined) return;
  await installHelm();
  await installSchemas();
}, HELM_TIMEOUT_MS);

describe.skipIf(missingTools !== undefined)(`compose${missingTools ?? ""}`, () => {
  test("the file is a compose file", () => {
    const check = new Ajv2020({ strict: false, validateFormats: false }).compile(composeSchema());
    expect(check(file), JSON.stringify(check.errors)).toBe(true);
    expect(check({ services: { door: { imag: "lean-aggregator" } } })).toBe(false);
  });

  test("the engine has the chart's permissions, for the names in the file", async () => {
    const { file: values = "" } = valueSets.find(({ name }) => name === "minimal") ?? {};
    const set = ["pools.cpu.replicasMax=2"];
    const chart = (await mustRender({ values, set })).file(
      "fleet-lean-aggregator-engine",
      "permissions.conf",
    );
    const named = chart
      .replaceAll("fleet-lean-aggregator-door", "door")
      .replaceAll("fleet-lean-aggregator-cpu", "host");
    expect(
      read("permissions.conf")
        .replace(/^#.*\n/gm, "")
        .trim(),
    ).toBe(named.trim());
  });
});

test("every service has its files, or makes them by the command at the top", () => {
  const named = [...text.matchAll(/^# .*certificates (.*) \\\n#(.*)$/gm)];
  const made = named.flatMap(([, first = "", more = ""]) =>
    `${first} ${more}`.split(/\s+/).map((each) => each.split("=")[0] ?? ""),
  );
  for (const [name, { volumes }] of Object.entries(services)) {
    for (const volume of volumes) {
      const [from = "", , mode] = volume.split(":");
      expect(mode, volume).toBe("ro");
      const [, certificate] = /^\.\/certificates\/(.*)\.(crt|key)$/.exec(from) ?? [];
      if (certificate === undefined)
        expect(existsSync(normalize(join(FOLDER, from))), from).toBe(true);
      else expect(["ca", ...made], `${name}: ${from}`).toContain(certificate);
    }
  }
});

test("every service of ours is nobody special, and has time to drain", () => {
  for (const [name, service] of own) {
    expect(service.read_only, name).toBe(true);
    expect(service.user, name).toBe("${FLEET_UID:-1000}:${FLEET_GID:-1000}");
    expect(service.tmpfs.length, name).toBeGreaterThan(0);
    for (const mount of service.tmpfs) {
      const [folder, options] = mount.split(/:(.*)/s);
      expect(folder).toMatch(/^\/(run|var\/lib)\/[a-z-]+$/);
      expect(options, name).toBe("mode=0750,uid=${FLEET_UID:-1000},gid=${FLEET_GID:-1000}");
    }
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period ?? "")?.[1]);
    const drainMs = Number(service.environment["LEAN_AGGREGATOR_DRAIN_MS"] ?? 2000);
    expect(1000 * seconds, name).toBeGreaterThanOrEqual(drainMs + 10_000);
  }
  for (const { cap_drop } of Object.values(services)) expect(cap_drop).toEqual(["ALL"]);
});

test("every service of ours has flags and variables that its command takes", () => {
  const run = own.filter(([name]) => /^(door|host)-\d$/.test(name));
  expect(run).toHaveLength(4);
  for (const [name, { command, environment }] of run) {
    const settings = settingsOf(command.length === 0 ? ["serve"] : command, environment);
    expect(settings.command === "serve" ? settings.serviceId : settings.hostId).toBe(name);
    expect(settings.engine).toHaveLength(3);
  }
});

test("each lane host, which shares its machine, says what memory a prover may take", () => {
  const hosts = own.filter(([, { command }]) => command[0] === "prove");
  expect(hosts).toHaveLength(2);
  const chart = parse(readFileSync("deploy/helm/lean-aggregator/values.yaml", "utf8")) as {
    poolDefaults: { proverMemoryMb: number };
  };
  for (const [name, { command, environment }] of hosts)
    expect(settingsOf(command, environment).proverMemoryMb, name).toBe(
      chart.poolDefaults.proverMemoryMb,
    );
});

/** The file on this machine that the container has at `path`. */
function mountedAt(service: string, path: string): string {
  for (const volume of services[service]?.volumes ?? []) {
    const [from = "", to = ""] = volume.split(":");
    if (path === to || path.startsWith(`${to}/`)) {
      return normalize(join(FOLDER, from, path.slice(to.length)));
    }
  }
  throw new Error(`${service} mounts nothing at ${path}`);
}
const yamlAt = (service: string, path: string): unknown =>
  parse(readFileSync(mountedAt(service, path), "utf8"));

test("Grafana has the dashboard, and the Prometheus of this file as its source", () => {
  const provisioning = "/etc/grafana/provisioning";
  const { datasources } = z
    .strictObject({
      apiVersion: z.literal(1),
      datasources: z.tuple([
        z.strictObject({
          ...{ name: z.string(), uid: z.string(), access: z.literal("proxy") },
          ...{ type: z.literal("prometheus"), url: z.url() },
          ...{ isDefault: z.literal(true), editable: z.boolean() },
        }),
      ]),
    })
    .parse(yamlAt("grafana", `${provisioning}/datasources/prometheus.yaml`));
  const { hostname, port } = new URL(datasources[0].url);
  expect(Object.keys(services)).toContain(hostname);
  expect(port).toBe("9090");
  const { providers } = z
    .strictObject({
      apiVersion: z.literal(1),
      providers: z.tuple([
        z.strictObject({
          ...{ name: z.string(), type: z.literal("file"), disableDeletion: z.boolean() },
          ...{ allowUiUpdates: z.boolean(), options: z.strictObject({ path: z.string() }) },
        }),
      ]),
    })
    .parse(yamlAt("grafana", `${provisioning}/dashboards/lean-aggregator.yaml`));
  const path = join(providers[0].options.path, "lean-aggregator.json");
  expect(mountedAt("grafana", path)).toBe("deploy/grafana/lean-aggregator.json");
  const { environment = {} } = services["grafana"] ?? {};
  expect(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).toBe(path);
});

test("everyone sees what Grafana shows, and there is no way to be its administrator", () => {
  const { environment = {} } = services["grafana"] ?? {};
  expect(environment).toMatchObject({
    GF_AUTH_ANONYMOUS_ENABLED: "true",
    GF_AUTH_DISABLE_LOGIN_FORM: "true",
    GF_AUTH_BASIC_ENABLED: "false",
    GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: "true",
  });
  // Of a viewer by default.
  expect(environment).not.toHaveProperty("GF_AUTH_ANONYMOUS_ORG_ROLE");
});

test("Prometheus scrapes each service of ours, and has the rules", () => {
  const { rule_files: rules, scrape_configs: scrapes } = z
    .looseObject({
      rule_files: z.tuple([z.string()]),
      scrape_configs: z.array(
        z.object({ static_configs: z.array(z.object({ targets: z.array(z.string()) })) }),
      ),
    })
    .parse(yamlAt("prometheus", "/etc/prometheus/prometheus.yml"));
  const targets = scrapes.flatMap(({ static_configs }) =>
    static_configs.flatMap((each) => each.targets.map((target) => target.split(":")[0])),
  );
  expect(targets.toSorted()).toEqual(["door-0", "door-1", "host-0", "host-1"]);
  expect(mountedAt("prometheus", `/etc/prometheus/${rules[0]}`)).toBe(
    "deploy/prometheus/rules.yml",
  );
});

test("the policy is one that a door takes", () => {
  expect(parsePolicy(read("policy.json")).principals).toHaveLength(2);
});

test("nats-server takes its configuration", async () => {
  await (await startNats()).close(); // installs it
  const folder = temporaryFolder();
  mkdirSync(join(folder, "tls"));
  execFileSync("deploy/certificates.sh", [join(folder, "tls"), "tls=nats-0"]);
  writeFileSync(join(folder, "permissions.conf"), read("permissions.conf"));
  writeFileSync(join(folder, "nats.conf"), read("nats.conf").replaceAll("/etc/nats", folder));
  const env = { ...process.env, NATS_NAME: "nats-0" };
  const check = () =>
    execFileSync(NATS_SERVER, ["-c", join(folder, "nats.conf"), "-t"], { env, stdio: "pipe" });
  expect(check).not.toThrow();
});

test("the engine's permissions are those that operators of their own NATS get", () => {
  const entries = (conf: string) =>
    [...conf.matchAll(/(?:user|publish|subscribe|allow_responses): .*/g)].map(([line]) =>
      line.replace(/, permissions.*/, ""),
    );
  const all = entries(read("permissions.conf"));
  const each = entries(readFileSync("deploy/nats/permissions.conf", "utf8"));
  expect(each).toHaveLength(8);
  expect(all).toEqual(expect.arrayContaining(each));
});
