//! What an error of a call means for the machine.

use std::fmt;

use tonic::{Code, Status};

use super::token::TokenError;
use crate::machine::SkipReason;

/// The answer of something that speaks HTTP but no gRPC, such as a proxy.
#[derive(Debug)]
pub(super) struct HttpStatus(pub u16);

impl fmt::Display for HttpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HTTP status {} without a gRPC status: a proxy answered",
            self.0
        )
    }
}

impl std::error::Error for HttpStatus {}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its time limit passed.
    Timeout,
    /// It had no answer: the endpoint was not reached, or the connection broke.
    NoAnswer,
    /// The service refused it with an error that a retry would meet too.
    Refused(SkipReason),
}

/// Reads the error of a call.
pub(super) fn failure(status: &Status) -> Failure {
    if token_error(status).is_some() {
        return Failure::Refused(SkipReason::Invalid);
    }
    if let Some(HttpStatus(code)) = cause_of::<HttpStatus>(status) {
        return match code {
            429 | 502 | 503 | 504 => Failure::NoAnswer,
            _ => Failure::Refused(SkipReason::Invalid),
        };
    }
    // An error that was made on this side has its cause; the server's has none.
    if std::error::Error::source(status).is_some() {
        return Failure::NoAnswer;
    }
    match status.code() {
        Code::DeadlineExceeded => Failure::Timeout,
        Code::Unavailable | Code::Aborted | Code::Cancelled => Failure::NoAnswer,
        Code::InvalidArgument
        | Code::OutOfRange
        | Code::FailedPrecondition
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::Unimplemented => Failure::Refused(SkipReason::Invalid),
        Code::ResourceExhausted => Failure::Refused(SkipReason::Overloaded),
        _ => Failure::Refused(SkipReason::Unreachable),
    }
}

/// Whether a call was refused for what is not in it, such as the caller's token.
pub(super) fn may_pass(status: &Status) -> bool {
    if failure(status) != Failure::Refused(SkipReason::Invalid) {
        return false;
    }
    match cause_of::<HttpStatus>(status) {
        // A proxy's limit on the size of the request.
        Some(HttpStatus(code)) => *code != 413,
        None => !matches!(status.code(), Code::InvalidArgument | Code::OutOfRange),
    }
}

/// Whether the service says that another process has this node's id.
pub(super) fn is_node_id_in_use(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("node_id_in_use")
}

/// What the error says, and its causes, from the last to the first.
pub(super) fn text_of(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let why = error.to_string();
        // Some errors say what their cause says.
        if !text.contains(&why) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&why);
        }
        cause = error.source();
    }
    match text.is_empty() {
        true => status.code().to_string(),
        false => text,
    }
}

/// Why the call had no token. `None`: it had one, or needs none.
pub(super) fn token_error(status: &Status) -> Option<&TokenError> {
    cause_of(status)
}

/// The first cause of this type.
fn cause_of<E: std::error::Error + 'static>(status: &Status) -> Option<&E> {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::token::TOO_LATE;

    #[test]
    fn each_code_means_what_the_protocol_says() {
        let of = |code| failure(&Status::new(code, ""));
        assert_eq!(of(Code::DeadlineExceeded), Failure::Timeout);
        assert_eq!(of(Code::Unavailable), Failure::NoAnswer);
        assert_eq!(of(Code::Cancelled), Failure::NoAnswer);
        let invalid = Failure::Refused(SkipReason::Invalid);
        assert_eq!(of(Code::Unimplemented), invalid);
        assert_eq!(of(Code::FailedPrecondition), invalid);
        let overloaded = Failure::Refused(SkipReason::Overloaded);
        assert_eq!(of(Code::ResourceExhausted), overloaded);
        let unreachable = Failure::Refused(SkipReason::Unreachable);
        assert_eq!(of(Code::Internal), unreachable);
    }

    /// An error with a cause.
    #[derive(Debug)]
    struct Caused(HttpStatus);

    impl fmt::Display for Caused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the call failed")
        }
    }

    impl std::error::Error for Caused {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_text_of_an_error_has_each_cause_once() {
        let status = Status::from_error(Box::new(Caused(HttpStatus(503))));
        let cause = HttpStatus(503);
        assert_eq!(text_of(&status), format!("the call failed: {cause}"));
        let of_service = Status::unavailable("too many calls");
        assert_eq!(text_of(&of_service), "too many calls");
        let silent = Status::new(Code::Aborted, "");
        assert_eq!(text_of(&silent), Code::Aborted.to_string());
    }

    #[test]
    fn a_refusal_may_pass_unless_it_is_of_the_request() {
        let of = |code| may_pass(&Status::new(code, ""));
        assert!(of(Code::Unauthenticated) && of(Code::PermissionDenied));
        assert!(of(Code::FailedPrecondition) && of(Code::Unimplemented) && of(Code::NotFound));
        assert!(!of(Code::InvalidArgument) && !of(Code::OutOfRange));
        assert!(!of(Code::ResourceExhausted) && !of(Code::Unavailable) && !of(Code::Internal));
        let of = |code| may_pass(&Status::from_error(Box::new(HttpStatus(code))));
        assert!(of(404) && !of(413) && !of(503));
        assert!(may_pass(&TOO_LATE.into()));
    }

    #[test]
    fn a_proxys_status_is_no_answer_or_a_limit() {
        let of = |code| failure(&Status::from_error(Box::new(HttpStatus(code))));
        assert_eq!(of(503), Failure::NoAnswer);
        assert_eq!(of(413), Failure::Refused(SkipReason::Invalid));
    }
}
