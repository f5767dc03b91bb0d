//! The token of a call, from a text or from a closure of the node.

use std::sync::Arc;

use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::Status;

use super::hooks::MakeToken;

/// Where tokens come from.
#[derive(Clone)]
pub(super) enum Token {
    Fixed(String),
    Source(Source),
}

/// The node's closure. It may block, so it runs on a thread of its own, one call at a time: a closure
/// that never returns costs one thread, and the calls end at their time limits.
#[derive(Clone)]
pub(super) struct Source {
    make: MakeToken,
    /// Fair, so that calls keep their order.
    turn: Arc<Mutex<()>>,
}

impl Source {
    pub fn new(make: MakeToken) -> Self {
        Source {
            make,
            turn: Arc::default(),
        }
    }

    async fn call(&self) -> Result<String, Status> {
        let make = self.make.clone();
        // Its thread keeps the turn, also when nobody waits for the token any more.
        let turn = self.turn.clone().lock_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            let token = make();
            drop(turn);
            token
        });
        made.await
            .map_err(|_| Status::unauthenticated("the node's token source panicked"))
    }
}

impl Token {
    /// The value of the header `authorization`.
    pub async fn header(&self) -> Result<MetadataValue<Ascii>, Status> {
        let token = match self {
            Token::Fixed(token) => token.clone(),
            Token::Source(source) => source.call().await?,
        };
        format!("Bearer {token}").parse().map_err(|_| {
            Status::unauthenticated("the token has characters that no HTTP header may have")
        })
    }
}
