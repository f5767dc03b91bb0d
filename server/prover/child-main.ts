/**
 * Entry of a prover process: the child that `forked-prover.ts` forks for each prover. Only the
 * service ends a prover, by SIGKILL. Ctrl-C and a closed terminal signal the whole process group,
 * and systemd the whole control group: the service then drains, and a running proof must go on.
 * SIGUSR1 would open the debugger of Node.js.
 */
const IGNORED = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
for (const name of IGNORED) process.on(name, () => undefined);

// Loaded only after that, because it takes a while.
const { runProver } = await import("./child.js");
runProver();

export {};
