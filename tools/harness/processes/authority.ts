/** Certificate authorities, and certificates of theirs, made for one run: Node can only read them. */
import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

const DAY_MS = 86_400_000;

/** As PEM. */
export interface Identity {
  certificate: string;
  key: string;
}

export interface IssueOptions {
  commonName?: string;
  dnsNames?: readonly string[];
  uris?: readonly string[];
  ips?: readonly string[];
  /** Unix time; default: yesterday. */
  notBeforeMs?: number;
  /** Unix time; default: tomorrow. */
  notAfterMs?: number;
}

export class Authority {
  private readonly keys = newKeys();
  /** Its own certificate, as PEM. */
  readonly certificate: string;

  constructor(
    private readonly name: string,
    validity: Pick<IssueOptions, "notAfterMs"> = {},
  ) {
    const extensions = [{ name: "basicConstraints", cA: true, critical: true }];
    const own = { ...validity, commonName: name };
    this.certificate = this.sign(own, this.keys.publicKey, extensions);
  }

  /** A certificate for either end of a connection to this machine, unless told otherwise. */
  issue(options: IssueOptions = {}): Identity {
    const { dnsNames = ["localhost"], uris = [], ips = ["127.0.0.1"] } = options;
    const keys = newKeys();
    const altNames = [
      ...uris.map((value) => ({ type: 6, value })),
      ...dnsNames.map((value) => ({ type: 2, value })),
      ...ips.map((ip) => ({ type: 7, ip })),
    ];
    const extensions = [
      { name: "basicConstraints", cA: false },
      { name: "subjectAltName", altNames },
    ];
    const certificate = this.sign(options, keys.publicKey, extensions);
    return { certificate, key: keys.pem };
  }

  private sign(options: IssueOptions, key: forge.pki.rsa.PublicKey, extensions: object[]): string {
    const {
      commonName,
      notBeforeMs = Date.now() - DAY_MS,
      notAfterMs = Date.now() + DAY_MS,
    } = options;
    const certificate = forge.pki.createCertificate();
    certificate.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(8))}`;
    certificate.validity.notBefore = new Date(notBeforeMs);
    certificate.validity.notAfter = new Date(notAfterMs);
    certificate.publicKey = key;
    certificate.setSubject(
      commonName === undefined ? [] : [{ name: "commonName", value: commonName }],
    );
    certificate.setIssuer([{ name: "commonName", value: this.name }]);
    certificate.setExtensions(extensions);
    certificate.sign(this.keys.privateKey, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  }
}

/** Node's own generator: the library's takes seconds. */
function newKeys() {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return {
    pem: privateKey,
    privateKey: forge.pki.privateKeyFromPem(privateKey),
    publicKey: forge.pki.publicKeyFromPem(publicKey),
  };
}
