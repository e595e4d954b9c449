//! What leaves the registry for deployment systems: the form of a message, its signature, and the ways it is sent.

pub mod address;
pub mod backoff;
pub mod cloud_event;
pub mod message;
pub mod target;
pub mod webhook;

mod http;
mod nats;
mod send;

pub use send::{Attempt, Lookup, Sender, Verdict, system_lookup};
