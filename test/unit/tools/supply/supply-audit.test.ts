/** What `npm run audit` makes of npm's reports: the exceptions, their end, and registries without. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { judgeAudit } from "../../../../tools/supply/audit.js";

const ADVISORY = "GHSA-abcd-1234-efgh";
const url = `https://github.com/advisories/${ADVISORY}`;
const advisory = { name: "deep", title: "It breaks", url, severity: "high", range: "<2" };
/** Of one advisory, which reaches a second package through the first. */
const REPORT = JSON.stringify({
  auditReportVersion: 2,
  vulnerabilities: {
    deep: { name: "deep", severity: "high", via: [advisory] },
    direct: { name: "direct", severity: "high", via: ["deep"] },
  },
});
const CLEAN = JSON.stringify({ auditReportVersion: 2, vulnerabilities: {} });
const why = "only its command line breaks, which nobody runs";
const excepting = (until: string, name = "deep") =>
  JSON.stringify([{ advisory: ADVISORY, package: name, why, until }]);

test("nothing found is no problem", () => {
  const clean = { kind: "judged", problems: [], explained: [] };
  expect(judgeAudit(CLEAN, "[]", "2026-01-31")).toEqual(clean);
});

test("an advisory is a problem, named once", () => {
  const audit = judgeAudit(REPORT, "[]", "2026-01-31");
  expect(audit).toEqual({
    kind: "judged",
    problems: [`deep <2: It breaks (high) ${url}`],
    explained: [],
  });
});

test("an exception explains it through its last day, and not the day after", () => {
  const text = `deep <2: It breaks (high) ${url}`;
  expect(judgeAudit(REPORT, excepting("2026-01-31"), "2026-01-31")).toEqual({
    kind: "judged",
    problems: [],
    explained: [`${text}: ${why}`],
  });
  expect(judgeAudit(REPORT, excepting("2026-01-31"), "2026-02-01")).toMatchObject({
    problems: [`${text}: excepted until 2026-01-31`],
  });
});

test("an exception of another package, or of what is fixed, is a problem", () => {
  const other = judgeAudit(REPORT, excepting("2026-01-31", "other"), "2026-01-01");
  expect(other).toMatchObject({
    problems: [expect.stringContaining("deep"), expect.stringContaining("nothing to except")],
  });
  const fixed = judgeAudit(CLEAN, excepting("2026-01-31"), "2026-01-01");
  expect(fixed).toMatchObject({ problems: [`${ADVISORY} of deep: nothing to except`] });
});

test("an advisory of two packages is a problem of each, and an exception is for one of them", () => {
  const vulnerabilities = {
    shallow: { via: [{ ...advisory, name: "shallow" }] },
    deep: { via: [advisory] },
    direct: { via: [advisory] },
  };
  const both = JSON.stringify({ vulnerabilities });
  expect(judgeAudit(both, excepting("2026-01-31"), "2026-01-01")).toEqual({
    kind: "judged",
    problems: [`shallow <2: It breaks (high) ${url}`],
    explained: [`deep <2: It breaks (high) ${url}: ${why}`],
  });
});

test("an exception without a reason or a day is refused", () => {
  const entry = { advisory: ADVISORY, package: "deep", why, until: "2026-01-31" };
  for (const wrong of [{ why: "" }, { until: "never" }, { until: "2026-02-31" }, { advisory: "1" }])
    expect(() =>
      judgeAudit(CLEAN, JSON.stringify([{ ...entry, ...wrong }]), "2026-01-01"),
    ).toThrow();
});

test("a registry without the endpoint is skipped; one that fails is not", () => {
  const answered = (statusCode: number) => JSON.stringify({ message: "no", statusCode });
  expect(judgeAudit(answered(405), "[]", "2026-01-31")).toEqual({
    kind: "skipped",
    why: "the registry has no audit endpoint (405)",
  });
  expect(() => judgeAudit(answered(503), "[]", "2026-01-31")).toThrow("npm audit failed: no");
  expect(() => judgeAudit('{"message":"no route"}', "[]", "2026-01-31")).toThrow("no route");
});

test("the committed exceptions can be read", () => {
  const committed = readFileSync("tools/supply/audit-exceptions.json", "utf8");
  expect(judgeAudit(CLEAN, committed, "2026-01-31")).toMatchObject({ kind: "judged" });
});
