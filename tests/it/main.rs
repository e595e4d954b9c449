//! Tests at the doors people use: the HTTP API, the command line, a killed server. One binary, every test on both
//! databases, those that concern bytes on both stores.

mod harness;

/// The main job: push, resolve, render, climb, pull, verify.
mod story;
