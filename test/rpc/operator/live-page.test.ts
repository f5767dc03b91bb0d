/** How the operator's listener serves the files of the live page. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { startTestService } from "../../helpers/start-service.js";

let service: Service;
beforeAll(async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  service = await startTestService(prover);
});
afterAll(() => service.close());

const get = (path: string, init: RequestInit = {}) =>
  fetch(`http://${service.operatorAddress ?? ""}${path}`, init);

test("is served by a fixed list of names, with a policy for what it loads", async () => {
  const page = await get("/");
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toContain("text/html");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  const text = await page.text();
  expect(text).not.toMatch(/https?:\/\//);
  for (const [, path = ""] of text.matchAll(/(?:href|src)="(\/[^"]+)"/g)) {
    expect((await get(path)).status, path).toBe(200);
  }
  for (const path of [
    "/page/",
    "/page/../package.json",
    "/page/%2e%2e/package.json",
    "/page/x.js",
  ]) {
    expect((await get(path)).status, path).toBe(404);
  }
});

test("is read only, and not served to nodes", async () => {
  expect((await get("/", { method: "POST" })).status).toBe(405);
  expect((await get("/", { method: "HEAD" })).status).toBe(200);
  const [nodes = ""] = service.addresses;
  expect((await fetch(`http://${nodes}/`)).status).toBe(404);
});
