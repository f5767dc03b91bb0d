//! TLS against the project's own service, skipped without `LEANAGG_SERVICE`, and against nobody.
#![cfg(feature = "tls")]

mod support;

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use lean_aggregator_client::{Aggregator, Builder, Tls};
use support::node::{wait_until, warm_up};
use support::served::program;
use support::tls::{Authority, TlsService};

fn builder(service: &TlsService, tls: Tls) -> Builder {
    Aggregator::builder()
        .node_id("rust-node")
        .endpoint(service.endpoint())
        .tls(tls)
        .on_problem(|problem| eprintln!("{problem}"))
}

fn trusting(authority: &Authority) -> Tls {
    Tls {
        ca_pem: Some(authority.pem.clone().into()),
        ..Tls::default()
    }
}

fn as_node(tls: Tls, authority: &Authority) -> Tls {
    let (certificate, key) = authority.node();
    Tls {
        identity_pem: Some((certificate.into(), key.into())),
        ..tls
    }
}

/// The adapter learns that it cannot open a stream there.
fn is_rejected(builder: Builder) {
    let adapter = builder.build().unwrap();
    let limit = Duration::from_secs(20);
    wait_until("the rejection", limit, || !adapter.is_reachable());
    adapter.close(Duration::ZERO);
}

#[test]
fn a_token_and_proofs_go_over_tls() {
    let Some(program) = program() else { return };
    let authority = Authority::new();
    let service = TlsService::start(&program, &authority, false);
    let adapter = builder(&service, trusting(&authority)).token(&service.token);
    let adapter = adapter.build().unwrap();
    warm_up(&adapter);
    adapter.close(Duration::from_secs(1));
    // Another authority's service, and a service without the token.
    is_rejected(builder(&service, trusting(&Authority::new())).token(&service.token));
    is_rejected(builder(&service, trusting(&authority)));
}

#[test]
fn a_service_that_wants_a_certificate_gets_the_nodes() {
    let Some(program) = program() else { return };
    let authority = Authority::new();
    let service = TlsService::start(&program, &authority, true);
    let tls = as_node(trusting(&authority), &authority);
    let adapter = builder(&service, tls).build().unwrap();
    warm_up(&adapter);
    adapter.close(Duration::from_secs(1));
    is_rejected(builder(&service, trusting(&authority)));
    let foreign = as_node(trusting(&authority), &Authority::new());
    is_rejected(builder(&service, foreign));
}

#[test]
fn a_handshake_that_is_never_answered_keeps_no_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let adapter = Aggregator::builder()
        .node_id("rust-node")
        .endpoint(endpoint)
        .tls(trusting(&Authority::new()))
        .build()
        .unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let limit = Duration::from_secs(20);
    socket.set_read_timeout(Some(limit)).unwrap();
    // Ends when the adapter closes the connection.
    let hello = socket.read_to_end(&mut Vec::new());
    assert!(hello.is_ok_and(|bytes| bytes > 0));
    adapter.close(Duration::ZERO);
}
