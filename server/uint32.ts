/** Numbers for fields of messages that have the type uint32. */

export const UINT32_MAX = 0xffff_ffff;

/**
 * The number as a whole one from 0 to 4294967295: the nearest there is, and 0 for none. Lane hosts, learned
 * costs and clocks give numbers outside, with which a message cannot be encoded.
 */
export function uint32Of(value: number): number {
  return value > 0 ? Math.min(UINT32_MAX, Math.round(value)) : 0;
}
