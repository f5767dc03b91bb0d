export interface Either {
  signal: AbortSignal;
  dispose: () => void;
}

/** A signal that aborts with the first of several, and lets go of the longer-lived ones after. */
export function whicheverAborts(...signals: AbortSignal[]): Either {
  const either = new AbortController();
  const abort = () => either.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
  }
  const dispose = () => {
    for (const signal of signals) signal.removeEventListener("abort", abort);
  };
  return { signal: either.signal, dispose };
}
