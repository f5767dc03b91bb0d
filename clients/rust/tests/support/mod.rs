//! What several tests use.
#![allow(dead_code)]

pub mod json;
#[cfg(feature = "client")]
pub mod scripted;
pub mod served;
pub mod vectors;
