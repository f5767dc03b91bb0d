/** One authority with a certificate for the service and one for a node, for suites over TLS. */
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";

const authority = new Authority("fleet");
const server = authority.issue({ commonName: "service" });
const node = authority.issue({ commonName: "node-1" });
export const files = filesOf({
  ca: authority.certificate,
  server: server.certificate,
  serverKey: server.key,
  node: node.certificate,
  nodeKey: node.key,
});

/** Of a service that asks for certificates. */
export const mutualTlsSettings = {
  tlsCertificate: files.server,
  tlsKey: files.serverKey,
  tlsClientCa: files.ca,
};

/** Of its client, for Node's own modules. */
export const nodeContext = { ca: authority.certificate, cert: node.certificate, key: node.key };
