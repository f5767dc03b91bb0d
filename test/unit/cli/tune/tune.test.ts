/** `lean-aggregator tune` with fake provers: the devices, the files, and what it refuses. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tuneFileSchema } from "../../../../cli/tune/tune-file.js";
import { parseConfig } from "../../../../server/config/config.js";
import { commandInProcess } from "../../../helpers/command-line.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const folder = temporaryFolder();
const fake = ["tune", "--prover", "fake", "--fake-time", "1+1/raw", "--layouts", "1x1"];

test("it prints devices that serve takes, and marks every figure as fake", async () => {
  const ran = await commandInProcess([...fake, "--quick", "--raws", "1"]);
  expect(ran).toMatchObject({ code: 0 });
  const { devices } = parseConfig({ devices: ran.stdout.trim() });
  expect(devices.map(({ id }) => id)).toEqual(["cpu"]);
  expect(ran.stderr).toContain("FAKE: proofs are simulated, and no figure is of a proof");
  expect(ran.stderr).toMatch(/1 x 1 +1 raw +\d+ +\d+ +\d+\.\d\d/);
  expect(ran.stderr).toContain("1 child + 1 raw");
}, 30_000);

test("it writes the devices into a settings file, its figures and its plot", async () => {
  const settings = join(folder, "settings.json");
  const [out, svg] = ["tune.json", "tune.svg"].map((name) => join(folder, name));
  writeFileSync(settings, '{"deadlineMs": 700, "prover": "fake"}');
  const files = ["--write", settings, "--out", out ?? "", "--svg", svg ?? ""];
  const ran = await commandInProcess([...fake, "--quick", "--config", settings, ...files]);
  expect(ran).toMatchObject({ code: 0, stdout: "" });
  const written: unknown = JSON.parse(readFileSync(settings, "utf8"));
  expect(written).toMatchObject({ deadlineMs: 700, devices: [{ id: "cpu" }] });
  const figures = tuneFileSchema.parse(JSON.parse(readFileSync(out ?? "", "utf8")));
  expect(figures).toMatchObject({ fake: true, layouts: [{ lanes: 1, coresEach: 1 }] });
  expect(figures.layouts[0]?.shapes.map(({ raws }) => raws)).toEqual([1, 32, 64, 1]);
  expect(readFileSync(svg ?? "", "utf8")).toContain("FAKE: ");
}, 30_000);

test.runIf(existsSync("/dev/full"))(
  "the devices are printed though a file cannot be written in the end",
  async () => {
    const ran = await commandInProcess([...fake, "--quick", "--raws", "1", "--out", "/dev/full"]);
    expect(ran.code).toBe(1);
    expect(parseConfig({ devices: ran.stdout.trim() }).devices).toHaveLength(1);
    expect(ran.stderr).toContain("cannot write --out /dev/full: the disk is full; ");
  },
  30_000,
);

test("when the time is up, what was not measured is named, and no devices are printed", async () => {
  const ran = await commandInProcess([...fake, "--minutes", "0.001"]);
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toContain("1 x 1: not measured whole: the time was up");
  expect(ran.stderr).toMatch(/no layout was measured: the time was up; .*--minutes/);
}, 30_000);

test("a prover that fails is named with its layout", async () => {
  const ran = await commandInProcess([...fake, "--quick", "--fake-failures", "death:3"]);
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toContain("1 x 1: not measured whole: ");
}, 30_000);

test.each([
  [["--raws", "0"], "--raws"],
  [["--raws", "1,x"], "--raws"],
  [["--minutes", "0"], "--minutes"],
  [["--goal", "cheap"], "--goal"],
  [["--layouts", "9999x1"], "--layouts 9999x1"],
  [["--write", folder], `--write ${folder}`],
  [["--write", "/no/such/settings.json"], "cannot write --write /no/such/settings.json"],
  [["--out", "/no/such/tune.json"], "cannot write --out /no/such/tune.json"],
  [["--svg", folder], `cannot write --svg ${folder}: it is a folder`],
  [["--devices", "[]"], "--devices"],
  [["--prover", "lean_pq", "--fake-time", "5"], "--fake-time"],
])("%j is refused with exit code 2 under its name", async (flags, named) => {
  const ran = await commandInProcess([...fake.slice(0, 3), ...flags]);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toContain(named);
});

test("settings of serve and prove are taken in a file, a misspelt one is an error", async () => {
  const file = join(folder, "other.json");
  writeFileSync(file, '{"listen": ["127.0.0.1:0"], "hostId": "a", "devises": ["cpu"]}');
  const ran = await commandInProcess([...fake, "--config", file]);
  expect(ran).toMatchObject({ code: 2 });
  expect(ran.stderr).toContain('devises is ["cpu"]: there is no such setting');
  expect(ran.stderr).toContain("1 error");
});

test.each([
  [{ env: { CUDA_VISIBLE_DEVICES: "0" } }, { env: { CUDA_VISIBLE_DEVICES: "1" } }, '"env"'],
  [{}, { prover: "lean_multisig", nice: 5 }, '"nice", "prover"'],
])("devices that differ, as %j and %j, are refused, and the file stays", async (one, two, keys) => {
  const file = join(temporaryFolder(), "settings.json");
  const devices = [
    { id: "gpu0", cores: "0", ...one },
    { id: "gpu1", cores: "1", threads: 1, ...two },
  ];
  const text = JSON.stringify({ devices });
  writeFileSync(file, text);
  const flags = ["--quick", "--raws", "1", "--config", file, "--write", file];
  const ran = await commandInProcess([...fake, ...flags]);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toContain(
    `devices gpu0 and gpu1 differ in ${keys}, and tune makes all devices alike; tune each `,
  );
  expect(readFileSync(file, "utf8")).toBe(text);
});

test("devices that differ in name, cores and threads alone are tuned", async () => {
  const devices = [
    { id: "a", cores: "0", nice: 5 },
    { id: "b", cores: "1", threads: 1, nice: 5 },
  ];
  const flags = ["--quick", "--raws", "1", "--devices", JSON.stringify(devices)];
  const ran = await commandInProcess([...fake, ...flags]);
  expect(ran).toMatchObject({ code: 0 });
  expect(parseConfig({ devices: ran.stdout.trim() }).devices).toMatchObject([{ nice: 5 }]);
}, 30_000);
