/** Who sends a call, for its share of the memory. */
import type { Credential } from "../../access/policy.js";
import type { Sender } from "../../memory-budget.js";
import type { HttpRequest } from "../../net/http-listener.js";

export function senderOf(request: HttpRequest, credential: Credential): Sender {
  const connection = "stream" in request ? request.stream.session : request.socket;
  return { connection: connection ?? request, caller: callerOf(credential) };
}

/** Undefined for credentials that any number of callers have: a socket, loopback or none. */
function callerOf(credential: Credential): string | undefined {
  if (credential.kind === "certificate") return `certificate ${credential.name}`;
  if (credential.kind === "token") return `token ${credential.sha256.toString("hex")}`;
  return undefined;
}
