/**
 * Two libraries with two signature schemes in one service: both serve, and the first device's is the
 * default, unless the settings name another.
 */
import { expect, test } from "vitest";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";
import { Site, until } from "./chaos-service.js";

const FOLD = ".kinds = LP_FOLD";

interface Info {
  status: { offers: { proofSystem: { scheme: string }; deviceIds: string[] }[] };
  devices: { id: string; state: string; detail?: string }[];
}

test.each([
  ["the first device decides, though it is slower", {}, ["first", "second"]],
  ["the settings decide", { LEAN_AGGREGATOR_PROOF_SYSTEM: "second" }, ["second", "first"]],
])("the default comes first of what is offered: %s", async (_, settings, schemes) => {
  const first = new FaultyBackend(FOLD, { FAULTY_SCHEME: '"first"' });
  const second = new FaultyBackend(FOLD, { FAULTY_SCHEME: '"second"' });
  const site = new Site();
  first.orderOnce("open", "slow");
  const devices = [
    { id: site.device, cores: "0", backend: first.options },
    { id: `${site.device}-other`, cores: "1", backend: second.options },
  ];
  const service = site.spawn({
    LEAN_AGGREGATOR_DEVICES: JSON.stringify(devices),
    LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
    LEAN_AGGREGATOR_STANDBY: "0",
    ...settings,
  });
  try {
    const { nodes, probes } = await service.listening();
    const url = `http://${nodes}/lean.aggregator.v1.AggregatorService/GetServerInfo`;
    const headers = { "content-type": "application/json" };
    const info = async () =>
      (await (await fetch(url, { method: "POST", headers, body: "{}" })).json()) as Info;
    const settled = await until(async () => {
      const answer = await info();
      return answer.devices.every(({ state }) => state === "DEVICE_STATE_IDLE") && answer;
    });
    const deviceIds = new Map([
      ["first", [site.device]],
      ["second", [`${site.device}-other`]],
    ]);
    expect(settled.status.offers).toMatchObject(
      schemes.map((scheme) => ({
        proofSystem: { scheme },
        deviceIds: deviceIds.get(scheme),
      })),
    );
    expect((await fetch(`http://${probes}/readyz`)).status).toBe(200);
    expect(service.endings()).toEqual([]);
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(await site.leftovers()).toEqual([]);
  } finally {
    site.dispose();
    first.dispose();
    second.dispose();
  }
});
