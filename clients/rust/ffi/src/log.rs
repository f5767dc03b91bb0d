//! What an operator should know.

use std::collections::HashSet;
use std::ffi::{c_char, c_void, CString};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::sigpipe::without_sigpipe;
use super::verify::{Closed, Context};

/// Texts that are remembered as printed; with one more, all are forgotten.
const PRINTED_MAX: usize = 256;

/// Gets a text for the node's log: what an operator should know, such as that the service refuses the
/// node's calls and why, each time that it happens, or why an endpoint cannot be reached, once for each reason.
/// It is the adapter's, until the call returns. Called on threads of the adapter, and in la_snapshot_submit on
/// its own; never after la_close has returned. It must return at once, and must not unwind.
pub type LogFn = Option<unsafe extern "C" fn(context: *mut c_void, text: *const c_char)>;

/// The node's log. Without a function of C, the standard error gets each text once.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    log: LogFn,
    context: Context,
    closed: Closed,
    printed: Mutex<HashSet<String>>,
}

impl Log {
    pub fn new(log: LogFn, context: *mut c_void, closed: Closed) -> Self {
        Log(Arc::new(Inner {
            log,
            context: Context(context),
            closed,
            printed: Mutex::default(),
        }))
    }

    pub fn say(&self, text: &str) {
        let inner = &*self.0;
        let Some(log) = inner.log else {
            if is_new(&inner.printed, text) {
                // A standard error that is closed, or that nobody reads, is no reason to end.
                without_sigpipe(|| {
                    let _ = writeln!(std::io::stderr(), "lean-aggregator: {text}");
                });
            }
            return;
        };
        // The words of a service may have a 0.
        let Ok(text) = CString::new(text.replace('\0', " ")) else {
            return;
        };
        // SAFETY: the text lives until the call returns, and the caller promises the rest, for the context
        // until the adapter is closed.
        let call = || unsafe { log(inner.context.0, text.as_ptr()) };
        inner.closed.unless_closed((), call);
    }
}

/// Whether the text was not printed yet, and is to be; it is remembered.
fn is_new(printed: &Mutex<HashSet<String>>, text: &str) -> bool {
    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    if printed.contains(text) {
        return false;
    }
    if printed.len() == PRINTED_MAX {
        printed.clear();
    }
    printed.insert(text.into())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    unsafe extern "C" fn keep(context: *mut c_void, text: *const c_char) {
        let texts = context.cast::<Mutex<Vec<String>>>();
        // SAFETY: the test passes a list, and the text ends with 0.
        let (texts, text) = unsafe { (&*texts, CStr::from_ptr(text)) };
        let text = text.to_str().unwrap().to_owned();
        texts.lock().unwrap().push(text);
    }

    #[test]
    fn each_text_is_logged_until_the_adapter_is_closed() {
        let texts = Mutex::new(Vec::<String>::new());
        let closed = Closed::default();
        let context = (&raw const texts).cast_mut().cast();
        let log = Log::new(Some(keep), context, closed.clone());
        log.say("no key");
        log.say("no\0key");
        closed.close();
        log.say("late");
        let logged = texts.into_inner().unwrap();
        assert_eq!(logged, ["no key", "no key"]);
    }

    #[test]
    fn each_text_is_printed_once_and_again_after_many_others() {
        let printed = Mutex::default();
        let is_new = |text: &str| is_new(&printed, text);
        assert_eq!(["a", "b", "a"].map(is_new), [true, true, false]);
        let mut others = 0..PRINTED_MAX;
        assert!(others.all(|number| is_new(&number.to_string())));
        assert_eq!(["a", "a"].map(is_new), [true, false]);
        assert!(printed.lock().unwrap().len() <= PRINTED_MAX);
    }
}
