//! The options of an adapter, in C's form.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};

use lean_aggregator_client::slot::SlotTimes;
use lean_aggregator_client::{Aggregator, Builder};

use super::log::{Log, LogFn};
use super::text;
use super::verify::{verifier, Closed, VerifyFn};

/// Options. Set them to 0, then `size` to sizeof(la_options): later versions append fields, and 0 is the
/// default of each.
#[repr(C)]
pub struct Options {
    pub size: usize,
    /// Addresses in order of preference, separated by commas: host:port, https://host:port or
    /// unix:/path. Needed.
    pub endpoints: *const c_char,
    /// 1 to 64 characters of A-Z a-z 0-9 . _ -, the same over all runs of the node. Needed.
    pub node_id: *const c_char,
    /// Start of the node in milliseconds since 1970. 0: now.
    pub node_epoch: u64,
    /// Certificates in PEM that sign the services'. NULL: the roots of the system.
    pub ca_pem: *const c_char,
    /// The node's certificate in PEM, with `key_pem`. NULL: none.
    pub certificate_pem: *const c_char,
    /// The private key of `certificate_pem` in PEM.
    pub key_pem: *const c_char,
    /// The name in the services' certificates. NULL: the host of the endpoint.
    pub server_name: *const c_char,
    /// Identifies the caller; over TLS, to loopback or to a Unix socket only. NULL: none.
    pub token: *const c_char,
    /// The node's own check of a proof. NULL: none.
    pub verify: VerifyFn,
    /// The first argument of `verify`. It must live until la_close has returned.
    pub verify_context: *mut c_void,
    /// Length of a slot in milliseconds. With it a submission has a fence by default, the start of the slot
    /// after the next, and votes have steps: they count most until the last interval but one. 0: neither.
    pub slot_ms: u32,
    /// Intervals of a slot; needed with `slot_ms`.
    pub intervals: u32,
    /// Start of slot 0 in milliseconds since 1970; needed with `slot_ms`.
    pub genesis_ms: u64,
    /// Gets what an operator should know. NULL: the standard error gets it, each text once.
    pub log: LogFn,
    /// The first argument of `log`. It must live until la_close has returned.
    pub log_context: *mut c_void,
}

/// No structure will ever be as large: a larger size was never set.
const SIZE_MAX: usize = 4096;
/// The size of the first version, without TLS, token and verification.
const SIZE_MIN: usize = offset_of!(Options, ca_pem);

impl Options {
    /// # Safety
    /// `pointer` is NULL or has `size` bytes.
    pub unsafe fn read(pointer: *const Options) -> Result<Options, String> {
        // SAFETY: the caller's promise.
        unsafe { read_sized(pointer, SIZE_MIN) }.map_err(|why| format!("options{why}"))
    }

    /// # Safety
    /// Each text is NULL or ends with 0.
    pub unsafe fn builder(&self, closed: &Closed, log: &Log) -> Result<Builder, String> {
        // SAFETY: the caller's promise.
        let (endpoints, node_id, token) = unsafe {
            let endpoints = optional(self.endpoints, "endpoints")?;
            let node_id = optional(self.node_id, "node_id")?;
            (endpoints, node_id, optional(self.token, "token")?)
        };
        let endpoints =
            endpoints.ok_or("options.endpoints is NULL: give the address of a service")?;
        let node_id = node_id.ok_or("options.node_id is NULL: give the node's id")?;
        let mut builder = Aggregator::builder().node_id(node_id);
        if self.node_epoch != 0 {
            builder = builder.node_epoch(self.node_epoch);
        }
        for endpoint in endpoints.split(',').map(str::trim) {
            builder = builder.endpoint(endpoint);
        }
        if let Some(token) = token {
            builder = builder.token(token);
        }
        if let Some(verify) = verifier(self.verify, self.verify_context, closed.clone()) {
            builder = builder.verify(verify);
        }
        let log = log.clone();
        builder = builder.on_problem(move |problem| log.say(&problem.to_string()));
        if let Some(slot_times) = self.slot_times()? {
            builder = builder.slot_times(slot_times);
        }
        // SAFETY: the caller's promise.
        unsafe { self.with_tls(builder) }
    }

    pub fn has_slot_times(&self) -> bool {
        self.slot_ms != 0
    }

    fn slot_times(&self) -> Result<Option<SlotTimes>, String> {
        if !self.has_slot_times() {
            return Ok(None);
        }
        if self.intervals == 0 {
            return Err("options.intervals is 0: give the intervals of a slot".into());
        }
        let phase_ms = i64::try_from(self.genesis_ms)
            .map_err(|_| "options.genesis_ms is too large: give milliseconds since 1970")?;
        Ok(Some(SlotTimes {
            slot_ms: self.slot_ms.into(),
            intervals: self.intervals.into(),
            phase_ms,
        }))
    }

    /// # Safety
    /// Each text is NULL or ends with 0.
    #[cfg(feature = "tls")]
    unsafe fn with_tls(&self, builder: Builder) -> Result<Builder, String> {
        // SAFETY: the caller's promise.
        let (ca, certificate, key, server_name) = unsafe {
            (
                optional(self.ca_pem, "ca_pem")?,
                optional(self.certificate_pem, "certificate_pem")?,
                optional(self.key_pem, "key_pem")?,
                optional(self.server_name, "server_name")?,
            )
        };
        if certificate.is_some() != key.is_some() {
            return Err("options.certificate_pem and options.key_pem: give both or none".into());
        }
        if ca.is_none() && certificate.is_none() && server_name.is_none() {
            return Ok(builder);
        }
        Ok(builder.tls(lean_aggregator_client::Tls {
            ca_pem: ca.map(Into::into),
            identity_pem: certificate
                .zip(key)
                .map(|(one, two)| (one.into(), two.into())),
            server_name: server_name.map(Into::into),
        }))
    }

    /// # Safety
    /// Needs none.
    #[cfg(not(feature = "tls"))]
    unsafe fn with_tls(&self, builder: Builder) -> Result<Builder, String> {
        let texts = [
            self.ca_pem,
            self.certificate_pem,
            self.key_pem,
            self.server_name,
        ];
        match texts.iter().all(|text| text.is_null()) {
            true => Ok(builder),
            false => Err("options.ca_pem: the library was built without the feature `tls`".into()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let none = std::ptr::null();
        Options {
            size: size_of::<Options>(),
            endpoints: none,
            node_id: none,
            node_epoch: 0,
            ca_pem: none,
            certificate_pem: none,
            key_pem: none,
            server_name: none,
            token: none,
            verify: None,
            verify_context: std::ptr::null_mut(),
            slot_ms: 0,
            intervals: 0,
            genesis_ms: 0,
            log: None,
            log_context: std::ptr::null_mut(),
        }
    }
}

/// Reads a structure whose first field is its size. Fields that the caller does not know have their
/// defaults.
///
/// # Safety
/// `pointer` is NULL or has as many bytes as its size says. `T` is a structure of C, its first field is
/// its size, and every pattern of bytes is one of it.
pub unsafe fn read_sized<T: Default>(
    pointer: *const T,
    size_min: usize,
) -> Result<T, &'static str> {
    if pointer.is_null() {
        return Err(" is NULL");
    }
    // SAFETY: the size is the first field of every version.
    let size = unsafe { pointer.cast::<usize>().read() };
    if size < size_min {
        return Err(".size is too small: set it to sizeof of the structure");
    }
    if size > SIZE_MAX {
        return Err(".size is too large: set it to sizeof of the structure");
    }
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    if bytes[known..].iter().any(|byte| *byte != 0) {
        return Err(" has fields that this version of the library does not know: set them to 0");
    }
    let mut read = T::default();
    // SAFETY: `known` is the size of neither more than `T` nor more than what is there.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut read).cast::<u8>(), known);
    }
    Ok(read)
}

/// A text of C, copied by its user. `None`: it is NULL.
///
/// # Safety
/// `pointer` is NULL or a text that ends with 0.
unsafe fn optional<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>, String> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    match unsafe { text(pointer) } {
        Some(text) => Ok(Some(text)),
        None => Err(format!("options.{name} is no UTF-8 text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_was_never_set_is_refused() {
        for (size, why) in [(0, "small"), (usize::MAX, "large")] {
            let options = Options {
                size,
                ..Options::default()
            };
            // SAFETY: nothing is read but the size, which is no possible one.
            let read = unsafe { Options::read(&options) };
            let error = read.err().unwrap();
            let expected = format!("options.size is too {why}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
