//! Certificates of one authority, and a service that speaks TLS with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

use super::ports::free_address;
use super::served::Service;

/// The name in the node's certificate.
const NODE_NAME: &str = "node.example";

/// An authority that signs the service's certificate and the node's.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate in PEM.
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = params("authority", Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Certificate and key of the node, in PEM.
    pub fn node(&self) -> (String, String) {
        self.sign(NODE_NAME)
    }

    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name, vec![name.to_owned()]);
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A subject of its own: OpenSSL takes one that is also its issuer for self-signed.
fn params(subject: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params
}

/// A service that speaks TLS on loopback, and its files.
pub struct TlsService {
    service: Service,
    folder: PathBuf,
    /// A token of the principal.
    pub token: String,
}

impl TlsService {
    /// Starts a service that proves for one principal, which has a token or, with `is_mutual`, needs
    /// a certificate of the authority.
    pub fn start(program: &Path, authority: &Authority, is_mutual: bool) -> Self {
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("la-tls-{}", address.port()));
        fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let (certificate, key) = authority.sign("127.0.0.1");
        let (certificate, key) = (put("tls.crt", &certificate), put("tls.key", &key));
        let ca = put("ca.crt", &authority.pem);
        let (token, hash) = make_token(program, &folder.join("token"));
        let known_by = match is_mutual {
            true => format!(r#""certificates": ["DNS:{NODE_NAME}"]"#),
            false => {
                format!(r#""tokens": [{{"sha256": "{hash}", "expires": "2099-01-01T00:00:00Z"}}]"#)
            }
        };
        let calls = r#""calls": ["SubmitSnapshot", "StreamResults", "CancelSession"]"#;
        let rights = format!(r#""nodes": ["*"], {calls}, "priorities": ["*"]"#);
        let policy = format!(r#"{{"principals": [{{"name": "node", {known_by}, {rights}}}]}}"#);
        let policy = put("policy.json", &policy);
        let mut options = vec!["--prover", "fake", "--fake-accepts", "any"];
        options.extend(["--tls-certificate", &certificate, "--tls-key", &key]);
        options.extend(["--policy", &policy]);
        if is_mutual {
            options.extend(["--tls-client-ca", &ca]);
        }
        let service = Service::start_at(program, Some(address), &options);
        TlsService {
            service,
            folder,
            token,
        }
    }

    pub fn endpoint(&self) -> String {
        format!("https://{}", self.service.endpoint())
    }
}

impl Drop for TlsService {
    fn drop(&mut self) {
        self.service.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A token and its hash for the policy, by the project's own command.
fn make_token(program: &Path, file: &Path) -> (String, String) {
    let _ = fs::remove_file(file);
    let mut command = Command::new("node");
    let made = command.arg(program).args(["token", "--out"]).arg(file);
    let output = made.output().expect("node is needed to run the service");
    let text = String::from_utf8_lossy(&output.stdout);
    let is_hash = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let hash = words
        .into_iter()
        .find(is_hash)
        .expect("the command prints a hash");
    let token = fs::read_to_string(file).unwrap().trim().to_owned();
    (token, hash.to_owned())
}
