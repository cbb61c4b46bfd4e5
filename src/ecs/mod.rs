//! Runs the VRL files outside Vector: for `map`, `test` and `demo`.
//!
//! The programs are Vector's own language in Vector's own version, so what comes out here is what
//! comes out of a `remap` transform with the same files.

pub mod bundle;
mod file;
mod joined;
mod mapper;
mod program;
pub mod tables;
pub mod unit_test;
pub mod vector_config;

pub use file::{EcsFile, Written};
pub use mapper::Mapper;
pub use program::{Event, Program, ProgramError, Source};
