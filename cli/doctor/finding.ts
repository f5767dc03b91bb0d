/** What one of `doctor`'s checks found, in words that say what to do unless it is ok. */
export interface Finding {
  /** A failure keeps the service from proving; a warning makes it slower or narrower. */
  level: "ok" | "warn" | "fail";
  text: string;
}

export const ok = (text: string): Finding => ({ level: "ok", text });
export const warn = (text: string): Finding => ({ level: "warn", text });
export const fail = (text: string): Finding => ({ level: "fail", text });
