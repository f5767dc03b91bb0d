/**
 * What it means when a call is answered with a plain HTTP status in place of a gRPC one. The service
 * does not answer gRPC calls so: a proxy before it does, or another program at the address.
 */
export interface HttpStatusMeaning {
  /** Of the kinds in `errors.ts`. */
  kind: "invalid_argument" | "unauthorized" | "unavailable" | "unsupported";
  /** What is wrong, with the status. */
  problem: string;
  /** What to do about it, in the imperative. */
  todo: string;
}

const MEANINGS: Readonly<Record<number, Omit<HttpStatusMeaning, "problem"> & { what: string }>> = {
  200: {
    kind: "unsupported",
    what: "its answer is not gRPC",
    todo: "give the address of the service, or let the proxy pass gRPC",
  },
  401: {
    kind: "unauthorized",
    what: "it wants credentials of its own",
    todo: "let the proxy pass these calls",
  },
  403: {
    kind: "unauthorized",
    what: "it forbids the call",
    todo: "let the proxy pass these calls",
  },
  404: {
    kind: "unsupported",
    what: "it has no such path",
    todo: "give the address of the service, or let the proxy pass /lean.aggregator.v1.*",
  },
  413: {
    kind: "invalid_argument",
    what: "the request is larger than it allows",
    todo: "raise the proxy's limit to 24 MiB (nginx: client_max_body_size 24m)",
  },
  429: {
    kind: "unavailable",
    what: "it limits the number of calls",
    todo: "raise the proxy's limit, then retry",
  },
  502: {
    kind: "unavailable",
    what: "it cannot reach the service",
    todo: "start the service, or fix the proxy's upstream (nginx: grpc_pass)",
  },
  503: {
    kind: "unavailable",
    what: "it has no service to pass the call to",
    todo: "start the service, or fix the proxy's upstream",
  },
  504: {
    kind: "unavailable",
    what: "the service did not answer it in time",
    todo: "raise the proxy's time limit (nginx: grpc_read_timeout)",
  },
};

/** Meaning of an HTTP status that a call was answered with, such as 413. */
export function meaningOfHttpStatus(status: number): HttpStatusMeaning {
  const isRedirect = status >= 300 && status < 400;
  const known = MEANINGS[status] ?? {
    kind: "unsupported",
    what: isRedirect ? "it redirects elsewhere" : "it does not pass gRPC calls",
    todo: isRedirect
      ? "give the address that it redirects to, such as https:// for http://"
      : "give the address of the service, or fix the proxy",
  };
  const { kind, what, todo } = known;
  const problem = `a proxy or another program answered with HTTP status ${status}: ${what}`;
  return { kind, problem, todo };
}

/**
 * The HTTP status in the text of a failed call; undefined without one. grpc-js puts it nowhere else,
 * and takes the first letters of a page of status 200 for the length of a message. A length that is no
 * text is that of a message of the service, which exceeds the client's limit.
 */
export function httpStatusIn(details: string): number | undefined {
  const [, length] = /^Received message larger than max \((\d+) /.exec(details) ?? [];
  if (length !== undefined) return isText(Number(length)) ? 200 : undefined;
  const [, status] = /^Received HTTP status code (\d{3})$/.exec(details) ?? [];
  return status === undefined ? undefined : Number(status);
}

/** Whether the four bytes of a length are letters of a page: printable ASCII, or blanks. */
function isText(length: number): boolean {
  const bytes = [24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff);
  return bytes.every((byte) => (byte >= 0x20 && byte <= 0x7e) || (byte >= 0x09 && byte <= 0x0d));
}
