/** The contract suites once more, over mutual TLS. */
import { expect, test, vi } from "vitest";
import type * as Contract from "../../tools/harness/wire/contract.js";
import type * as StartService from "../helpers/start-service.js";
import "../rpc/contract/contract.test.js";
import "../rpc/contract/contract-content.test.js";
import "../rpc/contract/contract-refusals.test.js";
import "../rpc/contract/contract-sessions.test.js";

const made = vi.hoisted(() => ({ clients: 0 }));

vi.mock("../helpers/start-service.js", async (original) => {
  const real = await original<typeof StartService>();
  const { mutualTlsSettings } = await import("./mutual-tls.js");
  const startTestService: typeof real.startTestService = (startProver, settings) =>
    real.startTestService(startProver, { ...settings, ...mutualTlsSettings });
  return { ...real, startTestService };
});

vi.mock("../../tools/harness/wire/contract.js", async (original) => {
  const real = await original<typeof Contract>();
  const { nodeContext } = await import("./mutual-tls.js");
  const clientOver: typeof real.clientOver = (service, protocol) => {
    made.clients++;
    return real.clientOver(service, protocol, nodeContext);
  };
  return { ...real, clientOver };
});

test("the suites above had their clients from here", () => {
  expect(made.clients).toBeGreaterThanOrEqual(4);
});
