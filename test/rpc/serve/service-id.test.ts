/** What names a service: its id outlives a restart, its run does not. */
import { afterEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { ServedPlace } from "./served.js";

let service: ServiceProcess | undefined;
afterEach(() => service?.kill());

/** The names that a fresh run of the service tells in each of its answers. */
async function namesOf(place: ServedPlace, ...flags: string[]) {
  service = ServiceProcess.spawn({ flags: [...place.flags, ...flags] });
  await place.ready();
  const client = new AggregatorClient({ address: place.nodes });
  const node = { nodeId: "node-1", nodeEpoch: 1n };
  try {
    const { serviceId, run } = await client.getServerInfo();
    const { result } = await client.submitSnapshot({ node, snapshot: fakeSnapshot(1) });
    expect(result).toMatchObject({ case: "accepted", value: { serviceId } });
    for await (const { event } of client.streamResults({ node })) {
      expect(event).toMatchObject({ case: "opened", value: { serviceId, run } });
      break;
    }
    return { serviceId, run };
  } finally {
    client.close();
    await service.kill();
  }
}

test("a restarted service has the same id and another run; the flag names it otherwise", async () => {
  const place = new ServedPlace();
  const first = await namesOf(place);
  const second = await namesOf(place);
  expect(second.serviceId).toBe(first.serviceId);
  expect(second.run).not.toBe(first.run);
  expect(await namesOf(place, "--service-id", "pod-0")).toMatchObject({ serviceId: "pod-0" });
  expect((await namesOf(new ServedPlace())).serviceId).not.toBe(first.serviceId);
});
