/** zod's `safeParse`, kept to its name. */
import { z } from "zod";

/**
 * zod compares the `length` of whatever has one, lists or not, and throws when that cannot be
 * compared: `{"length": [{"toString": 1}]}`. Such a value is as wrong as any other.
 */
export function safeParse<T>(
  schema: z.ZodType<T>,
  value: unknown,
): { success: true; data: T; error?: never } | { success: false; data?: never; error: z.ZodError } {
  try {
    return schema.safeParse(value);
  } catch {
    const message = "has a value that cannot be read";
    return {
      success: false,
      error: new z.ZodError([{ code: "custom", path: [], message, input: value }]),
    };
  }
}
