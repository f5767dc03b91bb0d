//! The token of a call, from a text or from a closure of the node.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::Status;

use super::hooks::MakeToken;

/// Why a call has no token.
#[derive(Debug)]
pub(super) struct TokenError(&'static str);

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TokenError {}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        Status::from_error(Box::new(error))
    }
}

/// The source takes too long for the call.
pub(super) const TOO_LATE: TokenError = TokenError("its source made no token in time");
const NOT_FIT: TokenError =
    TokenError("give one or more visible characters of ASCII, without blanks");

fn is_fit(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

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

    async fn call(&self) -> Result<String, TokenError> {
        let make = self.make.clone();
        // Its thread keeps the turn, also when nobody waits for the token any more.
        let turn = self.turn.clone().lock_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            let token = make();
            drop(turn);
            token
        });
        made.await.map_err(|_| TokenError("its source panicked"))
    }
}

impl Token {
    /// Checks a fixed token. That of a source is checked at each call.
    pub fn check(&self) -> Result<(), TokenError> {
        match self {
            Token::Fixed(token) if !is_fit(token) => Err(NOT_FIT),
            Token::Fixed(_) | Token::Source(_) => Ok(()),
        }
    }

    /// The value of the header `authorization`.
    pub async fn header(&self) -> Result<MetadataValue<Ascii>, Status> {
        let token = match self {
            Token::Fixed(token) => token.clone(),
            Token::Source(source) => source.call().await?,
        };
        if !is_fit(&token) {
            return Err(NOT_FIT.into());
        }
        let header = format!("Bearer {token}").parse();
        header.map_err(|_| NOT_FIT.into())
    }
}
