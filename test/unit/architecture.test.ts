/** The house rules that the compiler cannot see: import direction, and pure state machines. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = process.cwd();
const layers = ["rpc", "admission", "schedule", "session", "lane", "prover"];

function files(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

function imports(file: string): string[] {
  const source = readFileSync(join(root, file), "utf8");
  return [...source.matchAll(/from "(\.[^"]+)"/g)].map(([, path = ""]) =>
    relative(root, join(root, dirname(file), path)),
  );
}

test("imports go rpc → admission → schedule → session → lane → prover, never back", () => {
  const back = layers.flatMap((layer, at) =>
    files(`server/${layer}`).flatMap((file) =>
      imports(file)
        .filter((path) => layers.slice(0, at).some((above) => path.startsWith(`server/${above}/`)))
        .map((path) => `${file} imports ${path}`),
    ),
  );
  expect(back).toEqual([]);
});

test("the client sees only the proto", () => {
  const outside = files("client").flatMap((file) =>
    imports(file).filter((path) => !path.startsWith("client/") && !path.startsWith("proto/")),
  );
  expect(outside).toEqual([]);
});

test("the state machines have no clock, timer, randomness or I/O", () => {
  const banned =
    /Date\.|performance\.|setTimeout|setInterval|setImmediate|Math\.random|node:|await |Promise/;
  for (const file of [
    "server/access/policy.ts",
    "server/session/session-state.ts",
    "server/access/quota.ts",
    "server/fleet/door/hosts.ts",
    "server/lane/lane-state.ts",
    "server/work/rhythm.ts",
    "server/work/costs/costs.ts",
    "server/work/costs/memory-model.ts",
    "server/lane/lane-standby.ts",
    "server/schedule/lane-belief.ts",
    "server/work/costs/cost-model.ts",
    "server/schedule/forecast/forecast.ts",
    "server/schedule/order.ts",
    "server/work/parts.ts",
    "server/schedule/preemption.ts",
    "server/schedule/usage.ts",
    "server/fleet/host/lane-share.ts",
    "server/fleet/host/lane-owners.ts",
    "server/fleet/host/lane-doors.ts",
    "server/fleet/host/shared-report.ts",
    "client/adapter/slot-times.ts",
    ...files("client/machine"),
  ]) {
    const code = readFileSync(join(root, file), "utf8").replace(/\/\*\*[\s\S]*?\*\//g, "");
    expect(banned.exec(code)?.[0], file).toBeUndefined();
  }
});

test("only the command line reads argv and the environment", () => {
  const readers = ["cli", "client", "server"]
    .flatMap(files)
    .filter((file) => /process\.(env|argv)\b/.test(readFileSync(join(root, file), "utf8")));
  expect(readers).toEqual([join("cli", "main.ts")]);
});
