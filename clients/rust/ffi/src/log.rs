//! What an operator should know.

use std::collections::HashSet;
use std::ffi::{c_char, c_void, CString};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use lean_aggregator_client::Problem;

use super::verify::{Closed, Context};

/// Texts that are remembered as printed; no other one is printed then.
const PRINTED_MAX: usize = 256;

/// Gets a text for the node's log: what an operator should know, such as that the service refuses the
/// node's calls and why, each time that it happens, or why an endpoint cannot be reached, once for each reason.
/// It is the adapter's, until the call returns. Called on threads of the adapter, and never after la_close has
/// returned; it must return at once, and must not unwind.
pub type LogFn = Option<unsafe extern "C" fn(context: *mut c_void, text: *const c_char)>;

/// What the adapter calls with each problem. Without a function of C, it prints each text once.
pub fn logger(
    log: LogFn,
    context: *mut c_void,
    closed: Closed,
) -> impl Fn(Problem) + Send + Sync + 'static {
    let context = Context(context);
    let printed = Mutex::new(HashSet::new());
    move |problem: Problem| {
        let context = &context;
        let text = problem.to_string();
        let Some(log) = log else {
            if is_new(&printed, &text) {
                // A standard error that is closed is no reason to end.
                let _ = writeln!(std::io::stderr(), "lean-aggregator: {text}");
            }
            return;
        };
        // The words of a service may have a 0.
        let Ok(text) = CString::new(text.replace('\0', " ")) else {
            return;
        };
        // SAFETY: the text lives until the call returns, and the caller promises the rest, for the context
        // until the adapter is closed.
        closed.unless_closed((), || unsafe { log(context.0, text.as_ptr()) });
    }
}

/// Whether the text was not printed yet, and is to be; it is remembered.
fn is_new(printed: &Mutex<HashSet<String>>, text: &str) -> bool {
    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    printed.len() < PRINTED_MAX && printed.insert(text.into())
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

    fn problem(message: &str) -> Problem {
        Problem::Invalid {
            endpoint: "service".into(),
            message: message.into(),
        }
    }

    #[test]
    fn each_problem_is_logged_until_the_adapter_is_closed() {
        let texts = Mutex::new(Vec::<String>::new());
        let closed = Closed::default();
        let context = (&raw const texts).cast_mut().cast();
        let log = logger(Some(keep), context, closed.clone());
        log(problem("no key"));
        log(problem("no\0key"));
        closed.close();
        log(problem("late"));
        let logged = texts.into_inner().unwrap();
        let text = "service refuses this node's calls: no key";
        assert_eq!(logged, [text, text]);
    }

    #[test]
    fn each_text_is_printed_once_up_to_a_bound() {
        let printed = Mutex::default();
        let is_new = ["a", "b", "a"].map(|text| is_new(&printed, text));
        assert_eq!(is_new, [true, true, false]);
        let numbers = 0..2 * PRINTED_MAX;
        let new = numbers.filter(|number| super::is_new(&printed, &number.to_string()));
        assert_eq!(new.count(), PRINTED_MAX - 2);
    }
}
