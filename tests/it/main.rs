//! Everything that needs more than one part of the crate: the binary, the emulated tenant over
//! TLS, a pipeline over HTTP, a real Vector where there is one. One test binary, since linking
//! takes longer than running.

mod backfill;
mod catalogue;
mod check;
mod cli;
mod client_errors;
mod common;
mod configuration;
mod crash;
mod credentials;
mod demo;
mod end_to_end;
mod examples;
mod failing;
mod feeds;
mod generated;
mod mapping;
mod monitoring;
mod network;
mod real_vector;
mod reference;
mod reload;
mod rules;
mod simulation;
mod stopping;
mod types;
mod vrl_tests;
mod watching;
