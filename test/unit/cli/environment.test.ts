/** Variables that are empty, misspelt, or added by Kubernetes for a service of our name. */
import { expect, test } from "vitest";
import { dropEmptyVariables, unknownVariables } from "../../../cli/io/environment.js";
import { knownVariables, readSettings } from "../../../cli/run/settings.js";
import { settingKeys } from "../../../server/config/config.js";
import { variableOf } from "../../../server/config/parse.js";
import { proveSettingKeys } from "../../../server/config/prove-config.js";

const unknown = (env: Record<string, string>) => unknownVariables(env, knownVariables);

test("an empty variable is not set, for every setting and for clients", () => {
  const env = Object.fromEntries(knownVariables.map((name) => [name, ""]));
  dropEmptyVariables(env);
  expect(env).toEqual({});
  expect(readSettings({ flags: {}, env, file: undefined }).policy).toBeUndefined();
  const others = { OTHER: "", LEAN_AGGREGATOR_PROVER: "fake" };
  dropEmptyVariables(others);
  expect(others).toEqual({ OTHER: "", LEAN_AGGREGATOR_PROVER: "fake" });
});

test("every setting of a service or lane host, and every flag of a client, has a known variable", () => {
  for (const key of [...settingKeys, ...proveSettingKeys])
    expect(knownVariables).toContain(variableOf(key));
  expect(knownVariables).toContain("LEAN_AGGREGATOR_TOKEN_FILE");
});

test.each([
  ["LEAN_AGGREGATOR_LISTNE", "did you mean LEAN_AGGREGATOR_LISTEN?"],
  ["LEAN_AGGREGATOR_POLICY_FILE", "unset it"],
  ["LEAN_AGGREGATOR_DEADLINEMS", "did you mean LEAN_AGGREGATOR_DEADLINE_MS?"],
  ["lean_aggregator_policy", "did you mean LEAN_AGGREGATOR_POLICY?"],
  ["LEAN_AGGREGATOR_", "unset it"],
])("%s is named: %s", (name, todo) => {
  expect(unknown({ [name]: "x" })).toEqual([`${name} is set: there is no such variable: ${todo}`]);
});

// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
test("what Kubernetes adds for services named lean-aggregator and lean-aggregator-nodes is no mistake", () => {
  const added = ["", "_NODES"].flatMap((service) =>
    [
      "SERVICE_HOST",
      "SERVICE_PORT",
      "SERVICE_PORT_GRPC",
      "PORT",
      "PORT_9190_TCP",
      "PORT_9190_TCP_ADDR",
      "PORT_9190_TCP_PORT",
      "PORT_9190_TCP_PROTO",
    ].map((end) => [`LEAN_AGGREGATOR${service}_${end}`, "x"]),
  );
  expect(unknown(Object.fromEntries(added))).toEqual([]);
});
