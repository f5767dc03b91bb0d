/**
 * Which licences the project may ship, and which its tools may have. Permissive ones only are
 * shipped; a tool's may also ask for changes to its own files back, as the MPL does, for nothing of
 * a tool is shipped.
 */
export const shippedLicences: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "Apache-2.0 WITH LLVM-exception",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "Unicode-3.0",
  "Unlicense",
];
export const toolLicences: readonly string[] = [
  ...shippedLicences,
  "BlueOak-1.0.0",
  "CC-BY-4.0",
  "CC0-1.0",
  "MPL-2.0",
  "Python-2.0",
];

/**
 * Whether an SPDX expression can be met with these licences alone: all that `AND` joins, one of what
 * `OR` joins. `AND` binds closer. An invalid expression is not met.
 */
export function isMetBy(allowed: readonly string[], expression: string): boolean {
  const whole = expression.trim();
  if (allowed.includes(whole)) return true;
  for (const [operator, combine] of [
    [" OR ", (parts: boolean[]) => parts.some(Boolean)],
    [" AND ", (parts: boolean[]) => parts.every(Boolean)],
  ] as const) {
    const parts = splitOutsideBrackets(whole, operator);
    if (parts.length > 1) return combine(parts.map((part) => isMetBy(allowed, part)));
  }
  const inner = /^\((.*)\)$/.exec(whole)?.[1];
  return inner !== undefined && isMetBy(allowed, inner);
}

function splitOutsideBrackets(expression: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < expression.length; at++) {
    if (expression[at] === "(") depth++;
    if (expression[at] === ")") depth--;
    if (depth > 0 || !expression.startsWith(separator, at)) continue;
    parts.push(expression.slice(from, at));
    from = at + separator.length;
  }
  return [...parts, expression.slice(from)];
}
