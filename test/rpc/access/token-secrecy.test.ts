/** No token ends up in a log, a message or a metric, whatever is done with it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { tokenHash, tokenOf } from "../../../server/access/token.js";
import { commandLine, freshPath, MAIN } from "../../helpers/command-line.js";

const tokens = [1, 2, 3].map((byte) => tokenOf(Buffer.alloc(32, byte)));
const [good = "", expired = "", unknown = ""] = tokens;

function policyWith(sha256: string): string {
  return JSON.stringify({
    principals: [
      {
        name: "node-1",
        tokens: [
          { sha256 },
          { sha256: tokenHash(expired).toString("hex"), expires: "2020-01-01T00:00:00Z" },
        ],
        calls: ["GetServerInfo", "Metrics"],
        operatorCalls: ["DrainDevice"],
      },
    ],
  });
}

test("tokens that are good, expired, unknown or garbled leave no trace", async () => {
  const policy = freshPath("policy.json");
  writeFileSync(policy, policyWith(tokenHash(good).toString("hex")));
  const free = ["--listen", "127.0.0.1:0", "--probes", "off", "--admin", "127.0.0.1:0"];
  const args = ["serve", "--prover", "fake", "--policy", policy, "--log-level", "debug", ...free];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "close");
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (log += text));
  const logged = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve) => {
      const look = () => {
        const match = pattern.exec(log);
        if (match !== null) resolve(match);
      };
      createInterface({ input: child.stderr }).on("line", (line) => {
        log += `${line}\n`;
        look();
      });
    });
  try {
    const addresses = /"nodes":\["([^"]+)"\],"operator":"([^"]+)"/;
    const [, nodes = "", admin = ""] = await logged(addresses);
    const told = [];
    for (const token of tokens) {
      const file = freshPath("token");
      writeFileSync(file, token);
      const ran = await commandLine(["info", "--server", nodes, "--token-file", file]);
      expect(ran.code).toBe(token === good ? 0 : 1);
      told.push(ran.stdout, ran.stderr);
      const asOperator = ["--server", admin, "--token-file", file];
      const drained = await commandLine(["admin", "drain", "cpu", ...asOperator]);
      expect(drained.code).toBe(token === good ? 0 : 1);
      told.push(drained.stdout, drained.stderr);
      for (const authorization of [
        `Bearer ${token}`,
        `bearer  ${token} `,
        token,
        `Basic ${token}`,
      ]) {
        const answer = await fetch(`http://${nodes}/metrics`, { headers: { authorization } });
        told.push(await answer.text());
        const path = "lean.aggregator.v1.AggregatorService/GetServerInfo";
        const call = await fetch(`http://${nodes}/${path}?token=x`, {
          method: "POST",
          headers: { authorization, "content-type": "application/json" },
          body: "{}",
        });
        told.push(await call.text());
      }
    }
    // An invalid policy is reported with its problems, which may be beside a token put there by mistake.
    writeFileSync(policy, policyWith(unknown));
    while (!log.includes("new policy rejected")) await once(child.stderr, "data");
    child.kill("SIGTERM");
    await exited;
    for (const text of [log, ...told])
      for (const token of tokens) expect(text).not.toContain(token);
    expect(log).toContain("call denied");
    expect(log).toContain('"principal":"node-1","device":"cpu","drained":true');
    expect(told.join()).toContain("the token has expired");
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
});
