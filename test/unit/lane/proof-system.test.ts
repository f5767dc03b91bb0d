/** The first configured device decides the proof system, whichever device is ready first. */
import { expect, test, vi } from "vitest";
import { ProofSystemChoice } from "../../../server/lane/proof-system.js";
import type { ProverDescription } from "../../../server/work/prover-description.js";

const proves = (scheme: string, revision = "r1"): ProverDescription => ({
  backend: "b",
  scheme,
  revision,
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 0,
  childrenMax: 0,
  messagesMax: 8,
  rates: 0,
  fake: false,
});
const device = (id: string, library: string, config = "") => ({ id, backend: { library, config } });

function choiceOf(...devices: ReturnType<typeof device>[]) {
  const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const choice = new ProofSystemChoice(devices, log);
  const answers: Record<string, string | undefined> = {};
  const admit = (id: string, description: ProverDescription) => {
    void choice.admit(id, description).then((refusal) => (answers[id] = refusal ?? "admitted"));
  };
  return { choice, answers, admit };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a device with another library waits for the first, and is refused for another scheme", async () => {
  const { choice, answers, admit } = choiceOf(device("a", "x.so"), device("b", "y.so"));
  admit("b", proves("other"));
  await settled();
  expect(answers).toEqual({});
  expect(choice.waitsFor("b")).toBe("a");
  admit("a", proves("xmss"));
  await settled();
  expect(answers.a).toBe("admitted");
  expect(answers.b).toBe(
    "it proves other r1, but this service proves xmss r1, as device a decides; " +
      "give the device the same backend, or run another service for it",
  );
  expect(choice.waitsFor("b")).toBeUndefined();
});

test("a device with another library of the same proof system is admitted after the first", async () => {
  const { answers, admit } = choiceOf(device("a", "x.so"), device("b", "y.so"));
  admit("b", proves("xmss"));
  admit("a", proves("xmss"));
  await settled();
  expect(answers).toEqual({ a: "admitted", b: "admitted" });
});

test("a device with the first one's backend does not wait for it", async () => {
  const { answers, admit } = choiceOf(device("a", "x.so"), device("b", "x.so"));
  admit("b", proves("xmss"));
  await settled();
  expect(answers).toEqual({ b: "admitted" });
});

test("when the first cannot be set up, the next with its library decides, no other", async () => {
  const first = device("a", "x.so", "gpu=0");
  const { choice, answers, admit } = choiceOf(
    first,
    device("b", "y.so"),
    device("c", "x.so", "gpu=1"),
  );
  admit("b", proves("other"));
  admit("c", proves("xmss"));
  await settled();
  expect(answers).toEqual({});
  choice.setupFailed("a");
  await settled();
  expect(answers.c).toBe("admitted");
  expect(answers.b).toMatch(/^it proves other r1, but this service proves xmss r1, as device c/);
});

test("when no device with the first one's library can be set up, the others wait", async () => {
  const { choice, answers, admit } = choiceOf(device("a", "x.so"), device("b", "y.so"));
  choice.setupFailed("a");
  admit("b", proves("other"));
  await settled();
  expect(answers).toEqual({});
  expect(choice.waitsFor("b")).toBe("a");
});

test("a library that was replaced by another revision is refused until the service restarts", async () => {
  const { answers, admit } = choiceOf(device("a", "x.so"));
  admit("a", proves("xmss", "r1"));
  await settled();
  admit("a", proves("xmss", "r2"));
  await settled();
  expect(answers.a).toBe(
    "its library now proves xmss r2, but this service has proved xmss r1 since its start; " +
      "restart the service to use the new library",
  );
});
