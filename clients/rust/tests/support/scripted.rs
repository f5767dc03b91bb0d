//! A service that does what a test says, one for each endpoint.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use lean_aggregator_client::proto;
use proto::stream_results_response::Event;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{service_fn, Service};

use super::ports::free_address;

type Events = Result<proto::StreamResultsResponse, Status>;

/// A `StreamResults` call.
pub struct StreamCall {
    /// Number of calls to streams and submissions before this one.
    pub number: usize,
    pub request: proto::StreamResultsRequest,
    pub is_seen: bool,
    pub events: mpsc::UnboundedSender<Events>,
    is_beating: Arc<AtomicBool>,
}

/// A `SubmitSnapshot` call.
pub struct SubmitCall {
    pub number: usize,
    pub request: proto::SubmitSnapshotRequest,
    pub has_time_limit: bool,
    pub authorization: Option<String>,
    pub traceparent: Option<String>,
    pub is_seen: bool,
    pub answer: Option<oneshot::Sender<Result<proto::SubmitSnapshotResponse, Status>>>,
}

/// A `CancelSession` call.
pub struct CancelCall {
    pub request: proto::CancelSessionRequest,
    pub is_seen: bool,
}

/// What becomes of submissions.
#[derive(Clone, Copy, Default)]
pub enum Intake {
    /// They are read, and answered as the test says.
    #[default]
    Reads,
    /// Their bodies are left unread.
    ReadsNothing,
    /// They get a page of a web server.
    Page,
}

/// All calls so far, oldest first.
#[derive(Default)]
pub struct Calls {
    pub intake: Intake,
    pub streams: Vec<StreamCall>,
    pub submits: Vec<SubmitCall>,
    pub cancels: Vec<CancelCall>,
    /// Cancels are not answered.
    pub holds_cancels: bool,
    /// Submissions that nobody reads.
    pub unread: usize,
    /// Those of them that the adapter has ended.
    pub ended_unread: usize,
}

impl Calls {
    fn number(&self) -> usize {
        self.streams.len() + self.submits.len()
    }
}

/// A service at a port of its own, which it keeps over stops and starts.
pub struct Scripted {
    pub address: SocketAddr,
    calls: Arc<Mutex<Calls>>,
    running: Option<(oneshot::Sender<()>, runtime::Handle, JoinHandle<()>)>,
}

impl Scripted {
    /// Chooses a port. Nobody listens there yet.
    pub fn new() -> Self {
        Scripted {
            address: free_address(),
            calls: Arc::default(),
            running: None,
        }
    }

    /// Listens. One thread serves all calls, in the order in which they arrive.
    pub fn start(&mut self) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let address = self.address;
        let service = ScriptedService(self.calls.clone());
        let (listens, is_listening) = std::sync::mpsc::channel();
        let (stop, is_stopped) = oneshot::channel();
        let handle = runtime.handle().clone();
        let serve = async move {
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            listens.send(()).unwrap();
            // A body that nobody reads leaves room for the other calls.
            let server = tonic::transport::Server::builder()
                .initial_connection_window_size(16 << 20)
                .add_service(service);
            let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                _ = serving => {}
                _ = is_stopped => {}
            }
        };
        // The end of the runtime ends its tasks, and with them the connections.
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        is_listening.recv().unwrap();
        self.running = Some((stop, handle, thread));
    }

    /// Closes the port and every connection at once, as `kill -9` does.
    pub fn stop(&mut self) {
        if let Some((stop, _, thread)) = self.running.take() {
            let _ = stop.send(());
            thread.join().unwrap();
        }
    }

    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap()
    }

    pub fn send(&self, event: Event) {
        let calls = self.calls();
        let stream = calls.streams.last().expect("no stream is open");
        let event = proto::StreamResultsResponse { event: Some(event) };
        let _ = stream.events.send(Ok(event));
    }

    /// Sends a heartbeat each 500 ms on the newest stream.
    pub fn beat(&self) {
        let calls = self.calls();
        let stream = calls.streams.last().expect("no stream is open");
        let (events, is_beating) = (stream.events.clone(), stream.is_beating.clone());
        is_beating.store(true, Ordering::Relaxed);
        self.running.as_ref().unwrap().1.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if !is_beating.load(Ordering::Relaxed) {
                    return;
                }
                let event = proto::StreamResultsResponse {
                    event: Some(Event::Heartbeat(proto::Heartbeat {})),
                };
                if events.send(Ok(event)).is_err() {
                    return;
                }
            }
        });
    }

    /// Sends no heartbeat any more, on no stream.
    pub fn silence(&self) {
        for stream in &self.calls().streams {
            stream.is_beating.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct ScriptedService(Arc<Mutex<Calls>>);

impl tonic::server::NamedService for ScriptedService {
    const NAME: &'static str = "lean.aggregator.v1.AggregatorService";
}

impl Service<http::Request<Body>> for ScriptedService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let calls = self.0.clone();
        match request.uri().path().rsplit('/').next() {
            Some("SubmitSnapshot") => Box::pin(async move {
                let intake = calls.lock().unwrap().intake;
                match intake {
                    Intake::Reads => {}
                    Intake::ReadsNothing => {
                        let _unread = Unread::new(calls, request);
                        std::future::pending::<()>().await;
                        unreachable!();
                    }
                    Intake::Page => {
                        let page = http::Response::builder().header("content-type", "text/html");
                        return Ok(page.body(Body::new("<html></html>".to_owned())).unwrap());
                    }
                }
                let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(32 << 20);
                let service = service_fn(move |request| submit(calls.clone(), request));
                Ok(grpc.unary(service, request).await)
            }),
            Some("StreamResults") => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                let service = service_fn(move |request| stream(calls.clone(), request));
                Ok(grpc.server_streaming(service, request).await)
            }),
            Some("CancelSession") => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                let service = service_fn(move |request| cancel(calls.clone(), request));
                Ok(grpc.unary(service, request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("not scripted").into_http()) }),
        }
    }
}

/// A submission that nobody reads. It is dropped when the adapter ends the call.
struct Unread {
    calls: Arc<Mutex<Calls>>,
    _request: http::Request<Body>,
}

impl Unread {
    fn new(calls: Arc<Mutex<Calls>>, request: http::Request<Body>) -> Self {
        calls.lock().unwrap().unread += 1;
        Unread {
            calls,
            _request: request,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.calls.lock().unwrap().ended_unread += 1;
    }
}

async fn submit(
    calls: Arc<Mutex<Calls>>,
    request: Request<proto::SubmitSnapshotRequest>,
) -> Result<Response<proto::SubmitSnapshotResponse>, Status> {
    let (answer, is_answered) = oneshot::channel();
    let header = |name| request.metadata().get(name);
    let mut call = SubmitCall {
        number: 0,
        has_time_limit: header("grpc-timeout").is_some(),
        authorization: header("authorization").map(|value| value.to_str().unwrap().to_owned()),
        traceparent: header("traceparent").map(|value| value.to_str().unwrap().to_owned()),
        request: request.into_inner(),
        is_seen: false,
        answer: Some(answer),
    };
    {
        let mut calls = calls.lock().unwrap();
        call.number = calls.number();
        calls.submits.push(call);
    }
    match is_answered.await {
        Ok(answer) => answer.map(Response::new),
        Err(_) => Err(Status::unavailable("the test ended")),
    }
}

async fn stream(
    calls: Arc<Mutex<Calls>>,
    request: Request<proto::StreamResultsRequest>,
) -> Result<Response<UnboundedReceiverStream<Events>>, Status> {
    let (events, receiver) = mpsc::unbounded_channel();
    let mut calls = calls.lock().unwrap();
    let number = calls.number();
    calls.streams.push(StreamCall {
        number,
        request: request.into_inner(),
        is_seen: false,
        events,
        is_beating: Arc::default(),
    });
    Ok(Response::new(UnboundedReceiverStream::new(receiver)))
}

async fn cancel(
    calls: Arc<Mutex<Calls>>,
    request: Request<proto::CancelSessionRequest>,
) -> Result<Response<proto::CancelSessionResponse>, Status> {
    let is_held = {
        let mut calls = calls.lock().unwrap();
        calls.cancels.push(CancelCall {
            request: request.into_inner(),
            is_seen: false,
        });
        calls.holds_cancels
    };
    if is_held {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(proto::CancelSessionResponse::default()))
}
