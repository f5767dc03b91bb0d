/** Values that would make a fleet which does not work are refused, under the name that was typed. */
import { beforeAll, describe, expect, test } from "vitest";
import { HELM_TIMEOUT_MS, installHelm } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { render, valueSets } from "./rendered.js";

beforeAll(async () => {
  if (missingTools === undefined) await installHelm();
}, HELM_TIMEOUT_MS);

const values = valueSets.find(({ name }) => name === "minimal")?.file ?? "";

/** What is set, and what helm says. */
const REFUSED: [what: string, set: string, text: string][] = [
  [
    "a pod that is killed before its drain is over",
    "timeouts.graceSeconds=60",
    "at '/timeouts/graceSeconds': minimum: got 60, want 90",
  ],
  [
    "a preStop that leaves the drain no time",
    "timeouts.preStopSeconds=30",
    "at '/timeouts/preStopSeconds': maximum: got 30, want 10",
  ],
  [
    "a fence that outlives a lane host's drain",
    "timeouts.fenceMs=120000",
    "at '/timeouts/fenceMs': maximum: got 120,000, want 59,400",
  ],
  [
    "a drain that is longer than serve allows",
    "timeouts.doorDrainMs=90000",
    "at '/timeouts/doorDrainMs': maximum: got 90,000, want 60,000",
  ],
  [
    "no principal",
    "doors.policy.principals=[]",
    "at '/doors/policy/principals': minItems: got 0, want 1",
  ],
  [
    "an upgrade without its slot",
    'doors.upgrade={"revision": "py-lean-pq-0.8.0"}',
    "at '/doors/upgrade': properties 'slot' required, if 'revision' exists",
  ],
  [
    "a proof system of three words",
    'doors.proofSystem="leanxmss py-lean-pq 0.7.0"',
    "at '/doors/proofSystem': 'leanxmss py-lean-pq 0.7.0' does not match pattern",
  ],
  ["half a core", "pools.cpu.cores=1.5", "at '/pools/cpu/cores': got number, want integer"],
  ["two standbys", "pools.cpu.standby=2", "at '/pools/cpu/standby': value must be one of 0, 1"],
  [
    "a slice of a GPU",
    'pools.cpu.gpu.resource="nvidia.com/mig-1g.5gb"',
    "at '/pools/cpu/gpu/resource': 'not' failed",
  ],
  [
    "a cache that no volume holds",
    'pools.cpu.device={"id": "cpu", "cacheFolder": "/var/lib/lean-aggregator/cache", "fileMb": 100}',
    "pools.cpu.device.cacheFolder: /var/lib/lean-aggregator/cache cannot be written",
  ],
  [
    "a GPU by plugin and by claim",
    'pools.cpu.gpu={"resource": "nvidia.com/gpu", "deviceClass": "gpu.nvidia.com"}',
    "at '/pools/cpu/gpu': maxProperties: got 2, want 1",
  ],
  ["a pool with the name of another part", "pools.engine={}", "invalid propertyName 'engine'"],
  ["a cell that would be two tokens", 'cell="a.b"', "at '/cell': 'a.b' does not match pattern"],
  [
    "two servers of the engine",
    "engine.replicas=2",
    "at '/engine/replicas': value must be one of 1, 3, 5",
  ],
  ["no engine", "engine.enabled=false", "at '/engine/external/servers': minItems: got 0, want 1"],
  [
    "an engine in plain text",
    'engine.external.servers=["nats://nats-0:4222"]',
    "at '/engine/external/servers/0': 'nats://nats-0:4222' does not match pattern",
  ],
  [
    "an issuer of no kind",
    'certificates.issuer={"name": "fleet"}',
    "at '/certificates/issuer': properties 'kind' required, if 'name' exists",
  ],
  ["an image that changes", 'image.tag="latest"', "at '/image/tag': 'not' failed"],
  ["a value that does not exist", "door.replicas=3", "additional properties 'door' not allowed"],
];

describe.skipIf(missingTools !== undefined)(`the chart refuses${missingTools ?? ""}`, () => {
  test.each(REFUSED)("%s", async (_what, set, text) => {
    expect(await render({ values, set: [set] })).toContain(text);
  });
});
