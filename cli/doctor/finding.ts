/** The result of one of `doctor`'s checks. */
export interface Finding {
  /** `fail`: the service cannot start or prove. `warn`: it is slower or can do less. */
  level: "ok" | "warn" | "fail";
  /** What was found and, unless the level is `ok`, what to do. */
  text: string;
}

export const ok = (text: string): Finding => ({ level: "ok", text });
export const warn = (text: string): Finding => ({ level: "warn", text });
export const fail = (text: string): Finding => ({ level: "fail", text });
