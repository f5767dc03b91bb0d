/** Which addresses are accepted, and the exact text for each that is not. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isLocalAddress, readAddress, writeAddress } from "../../../proto/address.js";
import { ConfigError } from "../../../server/config/config-error.js";
import { checkPlaces } from "../../../server/config/places.js";
import { parseConfig } from "../../../server/config/config.js";
import { bind } from "../../../server/net/bind.js";
import { folderProblem } from "../../../server/net/socket-place.js";
import { holderOf } from "../../../cli/run/port-holder.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const PORT = "expected a port from 0 to 65535";
const HOST = "expected a host before the port, such as 127.0.0.1";
const FORM = "expected host:port or unix:/path";
const BRACKETS = "expected brackets around an IPv6 host, as in [::1]:9190";
const IPV6 = "expected an IPv6 address in the brackets, as in [::1]:9190";
const IPV4 = "expected an IPv4 address of four numbers from 0 to 255, as in 127.0.0.1";
const NAME = "expected a host name of letters, digits, - and .";
const ABSOLUTE = "expected an absolute path after unix:, as in unix:/run/lean-aggregator/node.sock";
const ABSTRACT = "abstract sockets are not supported: expected the path of a file";
const LONG = (bytes: number) =>
  `the path has ${bytes} bytes, and a socket's may have at most 107: use a shorter one`;

test.each<[text: string, problem: string]>([
  ["127.0.0.1:65536", PORT],
  ["127.0.0.1:99999", PORT],
  ["127.0.0.1:", PORT],
  ["127.0.0.1:80a", PORT],
  ["127.0.0.1:-1", PORT],
  ["127.0.0.1:+1", PORT],
  ["127.0.0.1: 80", PORT],
  ["127.0.0.1:80 ", PORT],
  ["127.0.0.1:0x50", PORT],
  ["127.0.0.1:1e3", PORT],
  ["127.0.0.1:٣", PORT],
  ["127.0.0.1:0080", `${PORT}, without zeros before it`],
  ["[::1]:99999", PORT],
  [":9190", HOST],
  ["*:9190", HOST],
  ["", FORM],
  ["here", FORM],
  ["[::1]9190", FORM],
  ["127.0.0.1", "expected a port after the host, as in 127.0.0.1:9190"],
  ["localhost", "expected a port after the host, as in localhost:9190"],
  ["[::1]", "expected a port after the host, as in [::1]:9190"],
  ["http://127.0.0.1:9190", `${FORM}, without http://`],
  ["tcp://127.0.0.1:9190", `${FORM}, without tcp://`],
  ["::1:9190", BRACKETS],
  ["::1", BRACKETS],
  ["0:0:0:0:0:0:0:1:9190", BRACKETS],
  ["[::g]:9190", IPV6],
  ["[127.0.0.1]:9190", IPV6],
  ["[]:9190", IPV6],
  ["127.1:9190", IPV4],
  ["256.0.0.1:9190", IPV4],
  ["127.0.0.01:9190", IPV4],
  ["0x7f.0.0.1:9190", IPV4],
  ["0x7f000001:9190", IPV4],
  ["2130706433:9190", IPV4],
  ["bad host:9190", NAME],
  ["-a:9190", NAME],
  ["a..b:9190", NAME],
  ["a@b:9190", NAME],
  [`${"a".repeat(64)}:9190`, NAME],
  ["/run/a.sock", "expected unix: before the path, as in unix:/run/a.sock"],
  ["unix:", ABSOLUTE],
  ["unix:a.sock", ABSOLUTE],
  ["unix:./a.sock", ABSOLUTE],
  ["unix://run/a.sock", ABSOLUTE],
  ["unix:@a", ABSTRACT],
  ["unix:\0a", ABSTRACT],
  ["unix-abstract:a", ABSTRACT],
  ["unix:/a\0b", "expected a path without the character NUL"],
  ["unix:/run/", "expected the path of a file, not of a folder"],
  [`unix:/${"x".repeat(107)}`, LONG(108)],
  [`unix:/${"é".repeat(54)}`, LONG(109)],
])("%j is no address", (text, problem) => {
  expect(readAddress(text)).toEqual({ kind: "problem", text: problem });
});

test.each<[text: string, isLocal: boolean, written?: string]>([
  ["127.0.0.1:0", true],
  ["127.0.0.1:65535", true],
  ["127.255.255.254:1", true],
  ["localhost:1", true],
  ["LOCALHOST:1", true],
  ["localhost.:1", true],
  ["[::1]:1", true],
  ["[0:0:0:0:0:0:0:1]:1", true],
  ["[0000::0001]:1", true],
  ["[::1%lo]:1", true],
  ["[::ffff:127.0.0.1]:1", true],
  ["[::FFFF:7F00:1]:1", true],
  ["unix:/run/a.sock", true],
  ["unix:///run/a.sock", true, "unix:/run/a.sock"],
  [`unix:/${"x".repeat(106)}`, true],
  ["0.0.0.0:1", false],
  ["[::]:1", false],
  ["[::ffff:0.0.0.0]:1", false],
  ["[::ffff:10.0.0.1]:1", false],
  ["[::2]:1", false],
  ["[fe80::1%eth0]:1", false],
  ["10.0.0.1:1", false],
  ["127.0.0.1.example:1", false],
  ["localhost.example:1", false],
  ["node-1.lean_net.example:1", false],
])("%j is an address; local: %j", (text, isLocal, written = text) => {
  const address = readAddress(text);
  if (address.kind === "problem") throw new Error(address.text);
  expect(isLocalAddress(address)).toBe(isLocal);
  expect(writeAddress(address)).toBe(written);
});

function problemsOf(run: () => void): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
}

describe("two addresses that need the same port or path are refused", () => {
  const same = (one: string, other: string, what = "port") =>
    `${one} and ${other} need the same ${what}: choose another ${what}`;
  test.each<[settings: Record<string, string>, ...problems: string[]]>([
    [
      { listen: "127.0.0.1:1,localhost:1" },
      `listen is "127.0.0.1:1,localhost:1": ${same("localhost:1", "127.0.0.1:1 in the same list")}`,
    ],
    [{ listen: "127.0.0.1:9192" }, `admin is not given: ${same("127.0.0.1:9192", "listen")}`],
    [
      { probes: "0.0.0.0:1", admin: "127.0.0.1:1" },
      `admin is "127.0.0.1:1": ${same("127.0.0.1:1", "probes")}`,
    ],
    [
      { probes: "[::]:1", admin: "127.0.0.1:1" },
      `admin is "127.0.0.1:1": ${same("127.0.0.1:1", "probes")}`,
    ],
    [
      { probes: "[0:0:0:0:0:0:0:1]:1", admin: "[::1]:1" },
      `admin is "[::1]:1": ${same("[::1]:1", "probes")}`,
    ],
    [
      { probes: "unix:/tmp//a", admin: "unix:///tmp/b/../a" },
      `admin is "unix:///tmp/b/../a": ${same("unix:/tmp/b/../a", "probes", "path")}`,
    ],
    [{ probes: "127.0.0.1:0", admin: "127.0.0.1:0", listen: "127.0.0.1:0,127.0.0.1:0" }],
    [{ probes: "127.0.0.1:1", admin: "127.0.0.2:1", listen: "[::1]:1" }],
    [{ probes: "off", admin: "off", listen: "127.0.0.1:1, [::1]:1" }],
  ])("%j", (settings, ...problems) => {
    expect(problemsOf(() => parseConfig(settings))).toEqual(problems);
  });
});

test("a socket that cannot be made where the settings want it is refused, and no file is removed", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder, name);
  writeFileSync(at("file"), "kept");
  mkdirSync(at("folder"));
  symlinkSync(at("nowhere"), at("link"));
  const problem = (listen: string) =>
    problemsOf(() => checkPlaces(parseConfig({ listen: `unix:${listen}` })))[0]?.replace(
      `listen is "unix:${listen}": `,
      "",
    );
  expect([
    problem(at("new.sock")),
    problem(at("file")),
    problem(at("folder")),
    problem(at("link")),
    problem("/dev/null"),
    problem(at("missing/a.sock")),
    problem(at("file/a.sock")),
    problem(at("file/below/a.sock")),
  ]).toEqual([
    undefined,
    `${at("file")} is a file, not a socket; remove it, or choose another path`,
    `${at("folder")} is a folder, not a socket; remove it, or choose another path`,
    `${at("link")} is a symbolic link, not a socket; remove it, or choose another path`,
    "/dev/null is a device or pipe, not a socket; remove it, or choose another path",
    `the folder ${at("missing")} does not exist; create it, or choose another path`,
    `${at("file")} is not a folder; choose another path`,
    `the folder ${at("file/below")} does not exist, as a part of its path is a file; choose another path`,
  ]);
  expect(problemsOf(() => checkPlaces(parseConfig({ socketGroup: "no such" })))).toEqual([
    'socketGroup is "no such": /etc/group has no such group; give a group that it has, or a number',
  ]);
});

test.each([
  ["EACCES", "is not writable for this user", "change its permissions, or choose another path"],
  ["EROFS", "is on a read-only file system", "choose another path"],
  ["EIO", "cannot be used (EIO)", "choose another path"],
])("a folder with %s", (code, why, todo) => {
  const error = Object.assign(new Error(), { code });
  expect(folderProblem("/run/a", error)).toEqual({ why: `the folder /run/a ${why}`, todo });
});

describe("binding", () => {
  const bound = async (address: string) => {
    const { servers, port } = await bind(address, () => createServer());
    const close = () => servers.forEach((server) => server.close());
    return { port, close };
  };
  const reason = (address: string) =>
    bound(address).then(
      ({ close }) => close(),
      (error: unknown) => (error instanceof Error ? error.message : error),
    );

  test("a taken port names its holder, also under another spelling of the address", async () => {
    const { port = 0, close } = await bound("127.0.0.1:0");
    for (const host of ["127.0.0.1", "0.0.0.0", "localhost"]) {
      expect(await reason(`${host}:${port}`)).toBe(
        `cannot listen on ${host}:${port}: another program listens there; ` +
          "stop it, or choose another port",
      );
      expect(holderOf(`${host}:${port}`)).toMatch(new RegExp(`^pid ${process.pid} \\(`));
    }
    close();
  });

  test("a taken socket is kept, a stale one is replaced, a file is refused and kept", async () => {
    const path = join(temporaryFolder(), "a.sock");
    const { close } = await bound(`unix:${path}`);
    expect(await reason(`unix:${path}`)).toBe(
      `cannot listen on unix:${path}: another program listens there; ` +
        "stop it, or choose another path",
    );
    expect(holderOf(`unix:${path}`)).toMatch(new RegExp(`^pid ${process.pid} \\(`));
    close();
    writeFileSync(path, "kept");
    expect(await reason(`unix:${path}`)).toBe(
      `cannot listen on unix:${path}: ${path} is a file, not a socket; ` +
        "remove it, or choose another path",
    );
  });

  test("an address of another machine and a name that does not resolve are refused", async () => {
    expect(await reason("192.0.2.1:0")).toBe(
      "cannot listen on 192.0.2.1:0: this machine does not have that address; " +
        "choose one of its own",
    );
    expect(await reason("no-such-host.invalid:0")).toMatch(
      /^cannot listen on no-such-host.invalid:0: the name (does not resolve; choose an address of this machine|cannot be resolved now; choose an IP address, or check the DNS)$/,
    );
  });
});
