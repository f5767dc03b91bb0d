//! What several tests use.
#![allow(dead_code)]

#[cfg(feature = "client")]
pub mod adapter;
pub mod json;
#[cfg(feature = "client")]
pub mod node;
#[cfg(feature = "client")]
pub mod ports;
#[cfg(feature = "client")]
pub mod scripted;
pub mod served;
#[cfg(feature = "tls")]
pub mod tls;
pub mod vectors;
