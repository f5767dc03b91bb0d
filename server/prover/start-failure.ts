/** Says in plain words why a prover process could not be started, and what to do about it. */

/**
 * What a start that failed for want of something says, and what to do. The texts are those of the
 * kernel, of Node.js, of V8 and of Rust's thread pool.
 */
const HINTS: readonly (readonly [text: RegExp, hint: string])[] = [
  [
    /\bEMFILE\b|Too many open files(?! in system)/,
    "no file descriptor is left: raise 'ulimit -n' or LimitNOFILE=",
  ],
  [
    /\bENFILE\b|Too many open files in system/,
    "the machine has no file descriptor left: raise fs.file-max",
  ],
  [
    /\bEAGAIN\b|Resource temporarily unavailable|uv_thread_create|pthread_create/,
    "the limit on processes and threads is reached: raise 'ulimit -u', TasksMax= or pids.max",
  ],
  [
    /\bENOMEM\b|Cannot allocate memory|out of memory|memory allocation of|CodeRange/,
    "no memory is left: add some, or raise 'ulimit -v', MemoryMax= or the container's limit",
  ],
  [
    /\b(ENOENT|EACCES)\b.*\bspawn\b|\bspawn\b.*\b(ENOENT|EACCES)\b/,
    "Node.js was moved or replaced: restart the service",
  ],
  [/\bspawn\b.*\bEPERM\b/, 'the service may not change to the device\'s "user": serve as root'],
];

/** The failure's own text, after a plain sentence where its cause is known. */
export function explainStartFailure(detail: string): string {
  const hint = HINTS.find(([text]) => text.test(detail))?.[1];
  return hint === undefined ? detail : `${hint} (${detail})`;
}
