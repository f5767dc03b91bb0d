/** What a door and a lane host may do at a real server with deploy/nats/permissions.conf. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { startNats } from "../../tools/harness/processes/nats.js";
import type { Nats } from "../../tools/harness/processes/nats.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import type { Client } from "./engine-clients.js";
import { openClient, userFiles } from "./engine-clients.js";

const { fromHost, toHost, toDoor, inbox } = subjects("main");
const authority = new Authority("engine");
const none = new Uint8Array();
let nats: Nats;
const clients = new Map<string, Client>();
/** Of the user to test. */
const client = (user: string): Client => {
  const found = clients.get(user);
  if (found === undefined) throw new Error(`no client ${user}`);
  return found;
};

beforeAll(async () => {
  const include = join(temporaryFolder(), "permissions.conf");
  const permissions = readFileSync("deploy/nats/permissions.conf", "utf8");
  // Who may do all, to see what the others do.
  writeFileSync(include, permissions.replace("users: [", 'users: [ { user: "observer" }'));
  const { certificate, key } = authority.issue();
  const server = filesOf({ ca: authority.certificate, certificate, key });
  nats = await startNats({ tls: server, include });
  const inboxes = {
    observer: "observer",
    "door-0": inbox("door", "door-0"),
    "host-0": inbox("host", "host-0"),
  };
  for (const [user, inboxPrefix] of Object.entries(inboxes)) {
    const tls = userFiles(authority, user);
    const opened = await openClient({ servers: nats.urls, inboxPrefix, tls });
    clients.set(user, opened);
    await opened.until(({ isUp }) => isUp);
  }
});
afterAll(async () => {
  await Promise.all([...clients.values()].map(({ engine }) => engine.close()));
  await nats.close();
});

/** What a user may do, and one of the many things that it may not. */
const roles = {
  "door-0": {
    publish: [toHost("host-0", "door-0"), toHost("host-1", "door-0")],
    publishNot: [
      toHost("host-0", "door-1"),
      fromHost("host-0"),
      fromHost("door-0"),
      toDoor("door-1", "door-0"),
      toDoor("door-0", "host-0"),
      `${inbox("door", "door-1")}.x`,
      `${inbox("host", "host-0")}.x`,
      subjects("other").toHost("host-0", "door-0"),
      "$SYS.REQ.SERVER.PING",
      "anything",
    ],
    subscribe: [fromHost("*"), toDoor("door-0", "*"), `${inbox("door", "door-0")}.>`],
    subscribeNot: [
      toDoor("door-1", "*"),
      toDoor("*", "*"),
      toHost("host-0", "*"),
      `${inbox("door", "door-1")}.>`,
      subjects("other").fromHost("*"),
      "lean.>",
      ">",
    ],
  },
  "host-0": {
    publish: [fromHost("host-0"), toDoor("door-0", "host-0"), toDoor("door-1", "host-0")],
    publishNot: [
      fromHost("host-1"),
      toDoor("door-0", "host-1"),
      toHost("host-0", "door-0"),
      toHost("host-1", "host-0"),
      `${inbox("door", "door-0")}.x`,
      `${inbox("host", "host-1")}.x`,
      subjects("other").fromHost("host-0"),
      "$SYS.REQ.SERVER.PING",
      "anything",
    ],
    subscribe: [toHost("host-0", "*"), `${inbox("host", "host-0")}.>`],
    subscribeNot: [
      toHost("host-1", "*"),
      toHost("*", "*"),
      fromHost("*"),
      toDoor("door-0", "*"),
      `${inbox("host", "host-1")}.>`,
      "lean.>",
      ">",
    ],
  },
};

/** A subject that a subscription hears. */
const within = (pattern: string) => pattern.replace("*", "x").replace(/(\*|>)$/, "x");

describe.each(Object.entries(roles))("%s", (user, role) => {
  test("publishes what its role needs, and nothing else", async () => {
    const heard: string[] = [];
    const { engine } = client("observer");
    const stops = [...role.publish, ...role.publishNot].map((subject) =>
      engine.subscribe(subject, (message) => heard.push(message.subject)),
    );
    await expect(engine.request("nobody", none, 5000)).rejects.toThrow("nobody listens");
    for (const subject of [...role.publishNot, ...role.publish]) {
      client(user).engine.publish(subject, none);
    }
    // The server handles a connection's messages in their order.
    await expect.poll(() => heard.length).toBeGreaterThanOrEqual(role.publish.length);
    expect(heard).toEqual(role.publish);
    // On another connection than what was heard.
    const refused = () => client(user).warnings.map(({ fields }) => fields["subject"]);
    await expect.poll(refused).toEqual(expect.arrayContaining(role.publishNot));
    stops.forEach((stop) => stop());
  });

  test("hears what its role needs, and nothing else", async () => {
    const { engine } = client(user);
    const heard: string[] = [];
    const hear = ({ subject }: { subject: string }) => heard.push(subject);
    const stops = [...role.subscribeNot, ...role.subscribe].map((pattern) =>
      engine.subscribe(pattern, hear),
    );
    const refused = () => client(user).warnings.map(({ fields }) => fields["subject"]);
    await expect.poll(refused).toEqual(expect.arrayContaining(role.subscribeNot));
    const allowed = role.subscribe.map(within);
    for (const pattern of role.subscribeNot)
      client("observer").engine.publish(within(pattern), none);
    for (const subject of allowed) client("observer").engine.publish(subject, none);
    await expect.poll(() => heard.length).toBeGreaterThanOrEqual(allowed.length);
    expect(heard).toEqual(allowed);
    stops.forEach((stop) => stop());
  });
});

test("each role answers what it is asked, and hears the answer to what it asks", async () => {
  const pairs = [
    ["door-0", "host-0", toHost("host-0", "door-0")],
    ["host-0", "door-0", toDoor("door-0", "host-0")],
  ] as const;
  for (const [asker, answerer, subject] of pairs) {
    const stop = client(answerer).engine.subscribe(subject.replace(/[^.]+$/, "*"), ({ answer }) =>
      answer?.(new Uint8Array([7])),
    );
    await expect
      .poll(() =>
        client(asker)
          .engine.request(subject, none, 1000)
          .catch(() => undefined),
      )
      .toEqual(new Uint8Array([7]));
    stop();
  }
});

test("a request that the permissions refuse is gone at once, and says so", async () => {
  const { engine } = client("door-0");
  await expect(engine.request(fromHost("host-0"), none, 60_000)).rejects.toThrow(
    "the engine's permissions refuse requests on lean.main.hosts.host-0",
  );
});

test("a certificate that names no user gets in nowhere", async () => {
  const { engine, until } = await openClient({
    servers: nats.urls,
    tls: userFiles(authority, "stranger"),
  });
  const { detail } = await until((status) => status.detail.startsWith("not"));
  expect(detail).toContain("the server lets nobody in with this certificate");
  await engine.close();
});
