/** `lean-aggregator info`. */
import { toJsonString } from "@bufbuild/protobuf";
import { GetServerInfoResponseSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorClient } from "../aggregator-client.js";

export async function infoCommand({ server }: { server: string }): Promise<number> {
  const client = new AggregatorClient({ address: server });
  try {
    const info = await client.getServerInfo({}, { timeoutMs: 5000 });
    process.stdout.write(
      `${toJsonString(GetServerInfoResponseSchema, info, { prettySpaces: 2 })}\n`,
    );
    return 0;
  } finally {
    client.close();
  }
}
