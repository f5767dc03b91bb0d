/**
 * Judges what `npm audit` found: an advisory stands unless `audit-exceptions.json` says why it does
 * not reach this project. An exception lasts until a day that it names, so that it is looked at again.
 */
import { z } from "zod";

const advisory = z.object({
  /** Of the affected package. */
  name: z.string(),
  title: z.string(),
  url: z.string(),
  severity: z.string(),
  range: z.string(),
});
// What is vulnerable only through another package names that package in place of an advisory.
const report = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({ via: z.array(z.union([z.string(), advisory])) }),
  ),
});

const exceptions = z.array(
  z.strictObject({
    /** The last part of the advisory's address, `GHSA-…`. */
    advisory: z.string().regex(/^GHSA(-[0-9a-z]{4}){3}$/),
    package: z.string().min(1),
    /** Why it does not reach this project. */
    why: z.string().min(20),
    /** The last day on which this holds. */
    until: z.iso.date(),
  }),
);
export type AuditException = z.infer<typeof exceptions>[number];

export type Audit =
  /** This registry has no audit endpoint. */
  { kind: "skipped"; why: string } | { kind: "judged"; problems: string[]; explained: string[] };

/** What a registry answers that does not know the endpoint. */
const NO_ENDPOINT = [404, 405, 501];
const refusal = z.object({ message: z.string(), statusCode: z.number().optional() });

/**
 * Throws when npm could not ask, for another reason than that there is nothing to ask.
 * @param output what `npm audit --json` printed
 * @param today as `2026-01-31`
 */
export function judgeAudit(output: string, exceptionsText: string, today: string): Audit {
  const known = exceptions.parse(JSON.parse(exceptionsText));
  const found = report.safeParse(JSON.parse(output));
  if (!found.success) {
    const { message, statusCode = 0 } = refusal.parse(JSON.parse(output));
    if (!NO_ENDPOINT.includes(statusCode)) throw new Error(`npm audit failed: ${message}`);
    return { kind: "skipped", why: `the registry has no audit endpoint (${statusCode})` };
  }
  const problems: string[] = [];
  const explained: string[] = [];
  const used = new Set<AuditException>();
  for (const { name, title, url, severity, range } of advisoriesOf(found.data)) {
    const exception = known.find((each) => url.endsWith(each.advisory) && each.package === name);
    const text = `${name} ${range}: ${title} (${severity}) ${url}`;
    if (exception === undefined) problems.push(text);
    else if (exception.until < today) problems.push(`${text}: excepted until ${exception.until}`);
    else explained.push(`${text}: ${exception.why}`);
    if (exception !== undefined) used.add(exception);
  }
  const idle = known.filter((each) => !used.has(each));
  const needless = idle.map((each) => `${each.advisory} of ${each.package}: nothing to except`);
  return { kind: "judged", problems: [...problems, ...needless], explained };
}

/** Each once, by its address and its package: many packages may be vulnerable through one. */
function advisoriesOf({ vulnerabilities }: z.infer<typeof report>) {
  const all = Object.values(vulnerabilities).flatMap(({ via }) => via);
  const advisories = all.filter((each) => typeof each !== "string");
  return new Map(advisories.map((each) => [`${each.url} ${each.name}`, each])).values();
}
