//! One endpoint: its address, its connection, and the calls that are made on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::Codec;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::clock::Clock;
use super::codec::{ProstCodec, TryCodec};
use super::encode::TryBody;
use super::status::HttpStatus;
use super::token::Token;
use crate::machine::Millis;
use crate::proto;

/// Largest answer or event.
const RECEIVE_BYTES_MAX: usize = 32 << 20;

/// How much of an answer may be on its way: a proof and what is said of it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// For the connection of TCP, and again for the handshake of TLS.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_millis(2000);
const CANCEL_LIMIT: Duration = Duration::from_millis(500);

const SUBMIT: &str = "/lean.aggregator.v1.AggregatorService/SubmitSnapshot";
const STREAM: &str = "/lean.aggregator.v1.AggregatorService/StreamResults";
const CANCEL: &str = "/lean.aggregator.v1.AggregatorService/CancelSession";

/// An endpoint's connection, made when it is needed and made anew when it is silent.
pub(super) struct Connection {
    pub name: Arc<str>,
    endpoint: Endpoint,
    token: Option<Token>,
    /// What calls use; none until the next one.
    current: Mutex<Option<Current>>,
    /// Why the endpoint could not be reached last, as reported. `None`: it was reached since.
    reason: Mutex<Option<String>>,
}

struct Current {
    channel: Channel,
    /// Changes when it is given up.
    given_up: watch::Sender<()>,
}

/// The calls on a connection that others do not use any more.
pub(super) struct Former(Option<Current>);

impl Former {
    /// Gives the connection up: it looks alive until the system does so, which takes minutes. The calls that
    /// are on it end as unavailable.
    pub fn give_up(self) {
        if let Some(current) = self.0 {
            current.given_up.send_replace(());
        }
    }
}

impl Connection {
    pub fn new(name: Arc<str>, endpoint: Endpoint, token: Option<Token>) -> Self {
        let endpoint = endpoint
            .connect_timeout(CONNECT_LIMIT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        Connection {
            name,
            endpoint,
            token,
            current: Mutex::new(None),
            reason: Mutex::default(),
        }
    }

    fn reason(&self) -> MutexGuard<'_, Option<String>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the endpoint cannot be reached for another reason than the last one, which this one becomes.
    pub fn is_new_reason(&self, new: &str) -> bool {
        let mut reason = self.reason();
        let is_new = reason.as_deref() != Some(new);
        *reason = Some(new.into());
        is_new
    }

    /// The endpoint is reached: the next reason is a new one.
    pub fn reached(&self) {
        *self.reason() = None;
    }

    /// Leaves the connection to the calls that are on it; the next call makes a new one.
    pub fn renew(&self) -> Former {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Former(current.take())
    }

    /// The receiver changes when the connection of these calls is given up.
    fn grpc(&self) -> (Grpc<Checked>, watch::Receiver<()>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = current.get_or_insert_with(|| Current {
            channel: self.endpoint.connect_lazy(),
            given_up: watch::Sender::new(()),
        });
        let grpc = Grpc::new(Checked(current.channel.clone()));
        let grpc = grpc.max_decoding_message_size(RECEIVE_BYTES_MAX);
        (grpc, current.given_up.subscribe())
    }

    /// The token of the next call, as a header. `None`: calls have none.
    pub async fn token(&self) -> Result<Option<AsciiMetadataValue>, Status> {
        match &self.token {
            Some(token) => Ok(Some(token.header().await?)),
            None => Ok(None),
        }
    }

    /// Sends a try. Returns the answer, and when the try was sent.
    pub async fn submit(
        &self,
        body: TryBody,
        limit: Duration,
        clock: Clock,
        traceparent: Option<String>,
    ) -> Result<(proto::SubmitSnapshotResponse, Millis), Status> {
        let sent_at_ms = Arc::new(AtomicU64::new(clock.now_ms()));
        let codec = TryCodec {
            clock,
            sent_at_ms: sent_at_ms.clone(),
        };
        let answer = self.unary(SUBMIT, body, limit, codec, traceparent).await?;
        Ok((answer, sent_at_ms.load(Ordering::Relaxed)))
    }

    pub async fn cancel(&self, message: proto::CancelSessionRequest) -> Result<(), Status> {
        let codec: ProstCodec<_, proto::CancelSessionResponse> = ProstCodec::default();
        self.unary(CANCEL, message, CANCEL_LIMIT, codec, None)
            .await?;
        Ok(())
    }

    pub async fn stream(
        &self,
        message: proto::StreamResultsRequest,
        token: Option<AsciiMetadataValue>,
    ) -> Result<Streaming<proto::StreamResultsResponse>, Status> {
        let request = request(message, token);
        let (mut grpc, _) = self.grpc();
        ready(&mut grpc).await?;
        let codec = ProstCodec::default();
        let path = PathAndQuery::from_static(STREAM);
        let response = grpc.server_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    async fn unary<C: Codec>(
        &self,
        path: &'static str,
        message: C::Encode,
        limit: Duration,
        codec: C,
        traceparent: Option<String>,
    ) -> Result<C::Decode, Status>
    where
        C::Encode: Send + Sync + 'static,
        C::Decode: Send + Sync + 'static,
    {
        let start = Instant::now();
        let call = async {
            let mut request = request(message, self.token().await?);
            if let Some(Ok(value)) = traceparent.map(AsciiMetadataValue::try_from) {
                request.metadata_mut().insert("traceparent", value);
            }
            // `Endpoint::timeout` would send no `grpc-timeout`, and the service would work on.
            request.set_timeout(limit.saturating_sub(start.elapsed()));
            let (mut grpc, mut given_up) = self.grpc();
            let answer = async {
                ready(&mut grpc).await?;
                let path = PathAndQuery::from_static(path);
                grpc.unary(request, path, codec).await
            };
            tokio::select! {
                biased;
                answer = answer => answer,
                Ok(()) = given_up.changed() => {
                    Err(Status::unavailable("the connection was silent and has been given up"))
                }
            }
        };
        let late = || Status::deadline_exceeded("no answer within the time limit");
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            // The channel has a timer for the same limit, and reports it as cancelled.
            Ok(Err(_)) if start.elapsed() >= limit => Err(late()),
            // The try may never have arrived: the wall clock of a proxy, or of the service, jumped.
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                Err(Status::unavailable(status.message()))
            }
            Ok(Err(status)) => Err(status),
            Err(_) => Err(late()),
        }
    }
}

fn request<T>(message: T, token: Option<AsciiMetadataValue>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", token);
    }
    request
}

async fn ready(grpc: &mut Grpc<Checked>) -> Result<(), Status> {
    grpc.ready().await.map_err(Status::from_error)
}

/// A channel that reports an HTTP status which is not gRPC's as an error of its own.
struct Checked(Channel);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Result<http::Response<Body>, BoxError>;

impl GrpcService<Body> for Checked {
    type ResponseBody = Body;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        GrpcService::poll_ready(&mut self.0, cx).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The channel takes the request here, in the order of the calls.
        let answer = GrpcService::call(&mut self.0, request);
        Box::pin(async move {
            let answer = answer.await?;
            match is_grpc(&answer) {
                true => Ok(answer),
                false => Err(HttpStatus(answer.status().as_u16()).into()),
            }
        })
    }
}

/// Whether this is the service's answer. A page with status 200 is not.
fn is_grpc(answer: &http::Response<Body>) -> bool {
    let headers = answer.headers();
    let content_type = headers.get(http::header::CONTENT_TYPE);
    let is_content =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    headers.contains_key("grpc-status") || (answer.status() == http::StatusCode::OK && is_content)
}
