/** `example` and `submit` with `--proof-system`, against a served process with devices of two proof systems. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { commandInProcess } from "../../helpers/command-line.js";
import { ServedPlace, until } from "../serve/served.js";

const FIRST = { scheme: "first", revision: "1" };
const OTHER = { scheme: "other", revision: "2" };
const devices = [
  { id: "a", fake: FIRST },
  { id: "b", fake: OTHER },
];

const place = new ServedPlace();
const server = ["--server", place.nodes];
let service: ServiceProcess;
beforeAll(async () => {
  service = ServiceProcess.spawn({
    flags: [...place.flags, "--fake-accepts", "any", "--devices", JSON.stringify(devices)],
  });
  await place.ready();
  await until("both proof systems are offered", async () => {
    const { stdout } = await commandInProcess(["info", "--json", ...server]);
    return devices.every(({ fake: { scheme } }) => stdout.includes(`"${scheme}"`));
  });
});
afterAll(() => service.kill());

/** Prints a snapshot by `example` with the first flags, and submits it with the others. */
async function submitted(example: readonly string[], flags: readonly string[]) {
  const { stdout } = await commandInProcess(["example", ...example]);
  return commandInProcess(["submit", "-", "--json", ...server, ...flags], stdout);
}

test.each<[string, string[], string[], typeof FIRST]>([
  ["no flag means the default", [], [], FIRST],
  ["'example' names one by its scheme", ["--proof-system", "other"], [], OTHER],
  ["'example' names one by its revision too", ["--proof-system", "other 2"], [], OTHER],
  ["'submit' names one", [], ["--proof-system", "other 2"], OTHER],
  [
    "'submit' replaces that of the file",
    ["--proof-system", "other"],
    ["--proof-system", "first"],
    FIRST,
  ],
])("%s", async (_, example, flags, expected) => {
  const { code, stdout, stderr } = await submitted(example, flags);
  expect(code, stderr).toBe(0);
  const lines = stdout.trim().split("\n");
  const outcomes = lines.flatMap(
    (line) => (JSON.parse(line) as { outcome?: object }).outcome ?? [],
  );
  expect(outcomes).toMatchObject([{ status: "OUTCOME_STATUS_PROVED", proofSystem: expected }]);
});

test.each([
  ["bls", "bls"],
  ["other 3", "3"],
])(
  "a name that the service does not offer is refused with those that it does: %s",
  async (name, is) => {
    const { code, stderr } = await submitted([], ["--proof-system", name]);
    expect(code).toBe(1);
    expect(stderr).toContain(`is "${is}", this server proves "first 1", "other 2"`);
  },
);

test.each(["example", "submit"])(
  "'%s' takes a scheme, or a scheme and a revision",
  async (command) => {
    const file = command === "submit" ? ["-", ...server] : [];
    const { code, stderr } = await commandInProcess([command, ...file, "--proof-system", "a b c"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--proof-system");
    expect(stderr).toContain("Expected a scheme, or a scheme and a revision");
  },
);
