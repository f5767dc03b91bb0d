/** What the pods of the chart are: their flags, their time to end, what they may do and what they see. */
import { beforeAll, describe, expect, test } from "vitest";
import { HELM_TIMEOUT_MS, installHelm } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { settingsOf } from "./read-flags.js";
import { flag, mustRender, valueSets } from "./rendered.js";
import type { Container } from "./rendered.js";

beforeAll(async () => {
  if (missingTools === undefined) await installHelm();
}, HELM_TIMEOUT_MS);

/** Time that a process has to close after its drain, in milliseconds. */
const CLOSE_MS = 10_000;

const isOurs = ({ args }: Container) => args[0] === "serve" || args[0] === "prove";
const preStopMs = ({ lifecycle }: Container) => 1000 * (lifecycle?.preStop.sleep?.seconds ?? 0);

describe.skipIf(missingTools !== undefined)(`pods${missingTools ?? ""}`, () => {
  describe.each(valueSets)("with $name", ({ file }) => {
    const rendered = () => mustRender({ values: file });

    test("have flags that their command takes, with those values, each once", async () => {
      const release = await rendered();
      const ours = release.pods().filter(({ container }) => isOurs(container));
      const commands = ours.map(({ container }) => container.args[0]);
      expect(new Set(commands)).toEqual(new Set(["serve", "prove"]));
      for (const { container } of ours) {
        const names = container.args.slice(1).map((arg) => arg.split("=")[0] ?? arg);
        expect(new Set(names).size).toBe(names.length);
        const settings = settingsOf(container.args);
        const id = settings.command === "serve" ? settings.serviceId : settings.hostId;
        expect(id).toBe("pod-0");
        expect(settings.engine.length).toBeGreaterThan(0);
        expect(settings.devices).toHaveLength(settings.command === "serve" ? 0 : 1);
      }
    });

    test("have the time that their drain needs, and a lane host that of the longest fence", async () => {
      const pods = (await rendered()).pods();
      const fenceMs = Math.max(
        ...pods.map(({ container }) => Number(flag(container, "fence-ms") ?? 0)),
      );
      expect(fenceMs).toBeGreaterThan(0);
      for (const { container, pod } of pods) {
        const drainMs = Number(flag(container, "drain-ms") ?? 0);
        const graceMs = 1000 * pod.terminationGracePeriodSeconds;
        expect(preStopMs(container) + drainMs + CLOSE_MS).toBeLessThanOrEqual(graceMs);
        if (container.args[0] === "prove") expect(drainMs).toBeGreaterThan(fenceMs);
      }
    });

    test("are Guaranteed and have whole cores where they prove, and room for their provers", async () => {
      const hosts = (await rendered())
        .pods()
        .filter(({ container }) => container.args[0] === "prove");
      for (const { container, pod } of hosts) {
        const { requests, limits } = container.resources;
        expect(requests).toEqual(limits);
        expect(requests.cpu).toMatch(/^\d+$/);
        const provers = 1 + Number(flag(container, "standby"));
        const neededMb = Number(flag(container, "prover-memory-mb")) * provers;
        const [, limitMi = 0] = /^(\d+)Mi$/.exec(String(limits.memory)) ?? [];
        // The service replaces provers above 80 % of its limit, whatever the flag says.
        expect(0.8 * Number(limitMi)).toBeGreaterThanOrEqual(neededMb);
        expect(Number(limitMi) - neededMb).toBeGreaterThanOrEqual(1024);
        const claimed = container.resources.claims?.map(({ name }) => name) ?? [];
        expect(claimed).toEqual(pod.resourceClaims?.map(({ name }) => name) ?? []);
        const gpus = Object.entries(limits).filter(([name]) => name.includes("gpu"));
        expect(gpus.map(([, count]) => count)).toEqual(gpus.map(() => 1));
      }
    });

    test("are nobody special: no root, no token, no capability, a root that is read-only", async () => {
      const release = await rendered();
      for (const { container, pod, name } of release.pods()) {
        expect(pod.automountServiceAccountToken, name).toBe(false);
        expect(pod.enableServiceLinks, name).toBe(false);
        expect(pod.securityContext).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 1000,
          seccompProfile: { type: "RuntimeDefault" },
        });
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          privileged: false,
          capabilities: { drop: ["ALL"] },
        });
        const account = release.resources.find(
          ({ kind, metadata }) =>
            kind === "ServiceAccount" && metadata.name === pod.serviceAccountName,
        );
        expect(account).toMatchObject({ automountServiceAccountToken: false });
      }
      const kinds = release.resources.map(({ kind }) => kind);
      expect(kinds.filter((kind) => /Role|Secret$/.test(kind))).toEqual([]);
    });

    test("mount what they have, write to folders of their own only, and find every file", async () => {
      for (const { container, pod, name } of (await rendered()).pods()) {
        const volumes = new Map(pod.volumes.map((volume) => [volume.name, volume]));
        const mounted = container.volumeMounts.map((mount) => mount.name);
        expect(new Set(mounted), name).toEqual(new Set(volumes.keys()));
        for (const volume of volumes.values())
          expect(Object.keys(volume), `${name} ${volume.name}`).toHaveLength(2);
        const writable = container.volumeMounts.filter(({ readOnly }) => !readOnly);
        for (const mount of writable) expect(volumes.get(mount.name)).toHaveProperty("emptyDir");
        const isWithin = (path: string, paths: { mountPath: string }[]) =>
          paths.some(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`));
        for (const arg of container.args) {
          const [, key = "", path = ""] =
            /^--([a-z-]+)=(?:[\d.:]+,)?(?:unix:)?(\/.*)$/.exec(arg) ?? [];
          if (path === "") continue;
          const isWritten = /-dir$|^admin$|^listen$/.test(key);
          expect(isWithin(path, isWritten ? writable : container.volumeMounts), arg).toBe(true);
        }
        for (const { cacheFolder } of isOurs(container) ? settingsOf(container.args).devices : [])
          if (cacheFolder !== undefined) expect(isWithin(cacheFolder, writable), name).toBe(true);
      }
    });

    test("see the key of their own certificate only", async () => {
      const ours = (await rendered()).pods().filter(({ container }) => isOurs(container));
      for (const { container, pod } of ours) {
        const id = flag(container, "service-id") ?? flag(container, "host-id");
        expect(id).toBe("$(POD_NAME)");
        const volume = pod.volumes.find(({ name }) => name === "engine-certificate");
        const mounts = container.volumeMounts.filter(({ name }) => name === "engine-certificate");
        if (volume !== undefined && "csi" in volume)
          expect(volume.csi).toMatchObject({
            volumeAttributes: { "csi.cert-manager.io/dns-names": "${POD_NAME}" },
          });
        else
          expect(mounts.map(({ subPath, subPathExpr }) => subPath ?? subPathExpr)).toEqual([
            "ca.crt",
            "$(POD_NAME).crt",
            "$(POD_NAME).key",
          ]);
      }
    });
  });

  test("a flag, or a value, that the command does not take is found out", () => {
    const door = ["serve", "--engine=tls://nats:4222", "--engine-certificate=/etc/tls.crt"];
    const whole = [...door, "--engine-key=/etc/tls.key", "--devices=none", "--probes=0.0.0.0:9191"];
    expect(settingsOf(whole).engine).toEqual(["tls://nats:4222"]);
    expect(() => settingsOf([...whole, "--engin-cell=main"])).toThrow(/unknown option/);
    expect(() => settingsOf([...whole, "--fence-ms=6s"])).toThrow(/--fence-ms is "6s"/);
    expect(() => settingsOf(door)).toThrow(/--engine-key is not given/);
  });

  test("give doors the default proof system, and the upgrade, that the values name", async () => {
    const [{ file = "" } = {}] = valueSets.filter(({ name }) => name === "minimal");
    const proofSystem = "leanxmss py-lean-pq-0.7.0";
    const upgrade = { revision: "py-lean-pq-0.8.0", slot: 1_234_567_890, shadow: 0.1 };
    const set = [
      `doors.proofSystem=${JSON.stringify(proofSystem)}`,
      `doors.upgrade=${JSON.stringify(upgrade)}`,
    ];
    const settings = async (of: readonly string[]) =>
      (await mustRender({ values: file, set: of }))
        .pods()
        .filter(({ container }) => isOurs(container))
        .map(({ container }) => settingsOf(container.args));
    expect((await settings(set)).filter((each) => "upgrade" in each)).toEqual([
      expect.objectContaining({ command: "serve", proofSystem, upgrade }),
    ]);
    for (const each of await settings([])) {
      expect(each).not.toHaveProperty("proofSystem");
      expect(each).not.toHaveProperty("upgrade");
    }
  });

  test("have enough time to end at every choice that the schema allows", async () => {
    const [{ file = "" } = {}] = valueSets.filter(({ name }) => name === "minimal");
    const longest = "timeouts={fenceMs: 59400, doorDrainMs: 60000, preStopSeconds: 10}";
    const set = [longest.replaceAll(/(\w+): /g, '"$1": ')];
    for (const { container, pod } of (await mustRender({ values: file, set })).pods()) {
      const drainMs = Number(flag(container, "drain-ms") ?? 0);
      const graceMs = 1000 * pod.terminationGracePeriodSeconds;
      expect(preStopMs(container) + drainMs + CLOSE_MS).toBeLessThanOrEqual(graceMs);
      if (container.args[0] === "prove") expect(drainMs).toBe(60_000);
    }
  });
});
