/** Holds a call to the policy by what its headers tell: who calls, what, and how often. */
import type { DescService } from "@bufbuild/protobuf";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../access/access.js";
import type { Ask, Credential, Principal } from "../access/policy.js";
import { methodPath } from "./request-limits.js";

/** Probes have no credentials, and it tells no more than whether nodes are served. */
const OPEN_PATH = "/grpc.health.v1.Health/Check";

const asksOf = (service: DescService, isOperators: boolean) =>
  Object.values(service.method).map((method): [string, Ask] => [
    methodPath(method),
    { call: method.name, isOperators },
  ]);
const asks: ReadonlyMap<string, Ask> = new Map([
  ...asksOf(AggregatorService, false),
  ...asksOf(AdminService, true),
]);

/**
 * Who calls; undefined for the health check, which is everybody's. What is no call of ours, such as
 * reflection or a health watch, is for anybody who is known. Throws a `Refusal`.
 */
export function admitHeaders(
  access: Access,
  credential: Credential,
  path: string,
): Principal | undefined {
  if (path === OPEN_PATH) return undefined;
  return access.begin(credential, asks.get(path) ?? {});
}
