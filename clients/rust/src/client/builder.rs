//! The adapter's options, checked once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use super::aggregator::Aggregator;
use super::clock::unix_ms;
use super::connection::Connection;
use super::encode::Header;
use super::hooks::Hooks;
use super::metrics::Metrics;
use super::options::{Problem, Skip, Unreachable};
use super::runtime;
use super::shared::Shared;
use super::token::{Source, Token};
use crate::proto;
use crate::slot::SlotTimes;

const DEADLINE_DEFAULT: Duration = Duration::from_millis(750);

/// Why an adapter was not built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// An option is missing or out of range.
    Invalid(String),
    /// The registry has one of the metrics already.
    Metrics(String),
    /// The runtime thread could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Invalid(what) => f.write_str(what),
            BuildError::Metrics(what) => write!(f, "registry: {what}"),
            BuildError::Thread(error) => write!(f, "cannot start the adapter's thread: {error}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// How the adapter trusts the service, and identifies the node, over TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates in PEM that sign the service's. `None`: the roots of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// The node's certificate and private key in PEM.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in the service's certificate. `None`: the host of the endpoint.
    pub server_name: Option<String>,
}

/// Makes an [`Aggregator`].
///
/// Needed: [`endpoint`](Builder::endpoint), [`node_id`](Builder::node_id), and
/// [`slot_times`](Builder::slot_times) unless every submission has a fence of its own.
#[must_use]
pub struct Builder {
    endpoints: Vec<String>,
    node_id: String,
    node_epoch: u64,
    slot_times: Option<SlotTimes>,
    deadline: Duration,
    proof_system: Option<proto::ProofSystem>,
    token: Option<Token>,
    hooks: Hooks,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    #[cfg(feature = "prometheus")]
    registry: Option<prometheus::Registry>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            endpoints: Vec::new(),
            node_id: String::new(),
            node_epoch: unix_ms(),
            slot_times: None,
            deadline: DEADLINE_DEFAULT,
            proof_system: None,
            token: None,
            hooks: Hooks::default(),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "prometheus")]
            registry: None,
        }
    }

    /// Adds an endpoint, after those that are there: the order is that of preference. The form is
    /// `host:port`, `http://host:port`, `https://host:port` or `unix:/path`. A name that was
    /// given before is ignored.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        let endpoint = endpoint.into();
        if !self.endpoints.contains(&endpoint) {
            self.endpoints.push(endpoint);
        }
        self
    }

    /// The node's id: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the same over all its runs.
    pub fn node_id(mut self, node_id: impl Into<String>) -> Self {
        self.node_id = node_id.into();
        self
    }

    /// Number of this run of the node, which grows with each run. Default: the start of the
    /// adapter in milliseconds since 1970.
    pub fn node_epoch(mut self, node_epoch: u64) -> Self {
        self.node_epoch = node_epoch;
        self
    }

    /// When slots start, with `phase_ms` in milliseconds since 1970. Gives each submission at
    /// slot N its fence, the start of slot N + 2. Default: each submission has its own.
    pub fn slot_times(mut self, slot_times: SlotTimes) -> Self {
        self.slot_times = Some(slot_times);
        self
    }

    /// Time in which the service may start a proof. Default: 750 ms.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What the proofs must be made with. Default: the first offer of the service.
    pub fn proof_system(mut self, proof_system: proto::ProofSystem) -> Self {
        self.proof_system = Some(proof_system);
        self
    }

    /// A token that identifies the caller, of visible characters of ASCII. It goes over TLS, to loopback
    /// or to a Unix socket only.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token::Fixed(token.into()));
        self
    }

    /// Makes the token of each call, on a thread of its own, one call at a time. It may block: a
    /// call waits for it within its time limit. If it panics, or the token has other characters than
    /// visible ones of ASCII, the call is refused.
    pub fn token_source(mut self, source: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Token::Source(Source::new(Arc::new(source))));
        self
    }

    /// TLS settings. Default: for `https://` only, with the roots of the system.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The node's own check of a proof, on a thread of the adapter. False: the group ends as
    /// refused. Default: none.
    pub fn verify(
        mut self,
        verify: impl Fn(&proto::Outcome) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.verify = Some(Arc::new(verify));
        self
    }

    /// Called with each snapshot that is skipped, in the tick or on the adapter's thread.
    pub fn on_skip(mut self, hook: impl Fn(&Skip) + Send + Sync + 'static) -> Self {
        self.hooks.on_skip = Some(Arc::new(hook));
        self
    }

    /// Called in the node's tick when no service can be reached, so that the node may decide to
    /// prove by itself; the adapter never does. For the merges of a growing body it may be called on
    /// the adapter's thread too: it must return at once, and must not wait for a lock that the node
    /// holds for long.
    pub fn on_unreachable(mut self, hook: impl Fn(&Unreachable) + Send + Sync + 'static) -> Self {
        self.hooks.on_unreachable = Some(Arc::new(hook));
        self
    }

    /// Called when results can be taken, mostly on the adapter's thread; it must return at once.
    /// [`Aggregator::ready`] is the same for those who wait.
    pub fn on_ready(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_ready = Some(Arc::new(hook));
        self
    }

    /// Called with what an operator should know. Default: a warning by `tracing` alone.
    pub fn on_problem(mut self, hook: impl Fn(Problem) + Send + Sync + 'static) -> Self {
        self.hooks.on_problem = Some(Arc::new(hook));
        self
    }

    /// Registry for the metrics; it has room for one adapter. Default: [`Aggregator::stats`] only.
    #[cfg(feature = "prometheus")]
    pub fn registry(mut self, registry: &prometheus::Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Starts the adapter's thread, which begins to connect.
    ///
    /// # Errors
    ///
    /// When an option is missing or invalid, the registry has the metrics already, or the system
    /// has no thread left.
    pub fn build(self) -> Result<Aggregator, BuildError> {
        check_node_id(&self.node_id)?;
        if let Some(token) = &self.token {
            let checked = token.check();
            checked.map_err(|error| BuildError::Invalid(format!("token: {error}")))?;
        }
        if self.endpoints.is_empty() {
            let what = "no endpoint: give the address of a service";
            return Err(BuildError::Invalid(what.into()));
        }
        if let Some(times) = self.slot_times {
            if times.slot_ms < 1 || times.intervals < 1 {
                let what = "slot_times: a slot needs at least 1 ms and 1 interval";
                return Err(BuildError::Invalid(what.into()));
            }
        }
        let mut connections = Vec::new();
        for endpoint in &self.endpoints {
            connections.push(Arc::new(self.connection(endpoint)?));
        }
        #[cfg(feature = "prometheus")]
        let metrics = match &self.registry {
            Some(registry) => Metrics::registered(registry)
                .map_err(|error| BuildError::Metrics(error.to_string()))?,
            None => Metrics::default(),
        };
        #[cfg(not(feature = "prometheus"))]
        let metrics = Metrics::default();
        let header = Header {
            node: proto::Node {
                node_id: self.node_id,
                node_epoch: self.node_epoch,
            },
            proof_system: self.proof_system,
        };
        let names = self.endpoints.iter().map(|each| each.as_str().into());
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Shared::new(header, names.collect(), self.hooks, metrics, sender);
        let shared = Arc::new(shared);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Look-ups of names take these threads too, and hang as long as the resolver does: each attempt
            // to connect may add one, and verifications must not wait for them.
            .max_blocking_threads(64)
            .build()
            .map_err(BuildError::Thread)?;
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("lean-aggregator".into())
            .spawn(move || {
                runtime.block_on(runtime::run(for_thread, connections, receiver));
                // A closure of the node that blocks keeps its own thread, and not this one.
                runtime.shutdown_background();
            })
            .map_err(BuildError::Thread)?;
        Ok(Aggregator::new(
            shared,
            self.slot_times,
            self.deadline,
            thread,
        ))
    }

    fn connection(&self, name: &str) -> Result<Connection, BuildError> {
        let invalid = |why: &str| {
            BuildError::Invalid(format!(
                "endpoint {name}: {why}; give host:port, https://host:port or unix:/path"
            ))
        };
        let is_tls_wanted = self.is_tls_wanted();
        let address = match name {
            _ if name.starts_with("unix:") || name.contains("://") => name.to_owned(),
            _ if is_tls_wanted => format!("https://{name}"),
            _ => format!("http://{name}"),
        };
        let is_tls = address.starts_with("https://");
        let is_local = is_tls || is_local(&address);
        if self.token.is_some() && !is_local {
            return Err(invalid("a token goes over TLS, to loopback or to a socket"));
        }
        let endpoint =
            Endpoint::from_shared(address).map_err(|error| invalid(&error.to_string()))?;
        let endpoint = match is_tls {
            true => self.with_tls(endpoint).map_err(|error| invalid(&error))?,
            false => endpoint,
        };
        Ok(Connection::new(name.into(), endpoint, self.token.clone()))
    }

    #[cfg(feature = "tls")]
    fn is_tls_wanted(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn is_tls_wanted(&self) -> bool {
        false
    }

    #[cfg(feature = "tls")]
    fn with_tls(&self, endpoint: Endpoint) -> Result<Endpoint, String> {
        use super::connection::CONNECT_LIMIT;
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        let tls = self.tls.clone().unwrap_or_default();
        // Without a limit, a handshake that is never answered keeps its socket for ever.
        let config = ClientTlsConfig::new().timeout(CONNECT_LIMIT);
        let mut config = match tls.ca_pem {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        if let Some((certificate, key)) = tls.identity_pem {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = tls.server_name {
            config = config.domain_name(name);
        }
        let endpoint = endpoint.tls_config(config);
        endpoint.map_err(|error| format!("TLS settings: {error}"))
    }

    #[cfg(not(feature = "tls"))]
    fn with_tls(&self, _endpoint: Endpoint) -> Result<Endpoint, String> {
        Err("built without the feature `tls`".into())
    }
}

fn check_node_id(node_id: &str) -> Result<(), BuildError> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&node_id.len()) && node_id.bytes().all(is_fit) {
        return Ok(());
    }
    Err(BuildError::Invalid(format!(
        "node_id {node_id:?}: give 1 to 64 characters of A-Z a-z 0-9 . _ -"
    )))
}

fn is_local(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else {
        return address.starts_with("unix:");
    };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
