//! Microsoft Entra ID's logs as a source for Vector, over Microsoft Graph.
//!
//! In reading order, which is the way of one record:
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the commands; each wires up what it needs |
//! | [`config`] | what the operator says, checked |
//! | [`stream`] | the catalogue of streams |
//! | [`graph`] | the wire: a request out, a page of records in |
//! | [`connect`] | from a tenant's configuration to a client of its Graph |
//! | [`collect`] | what to read when, what is new, and the driver that does it |
//! | [`record`] | a record, the event that carries it, a batch |
//! | [`outlet`] | the way into the pipeline, and its acks |
//! | [`state`] | what was delivered and read, on disk |
//! | [`ecs`] | runs the VRL files outside Vector |
//! | [`emulator`] | a tenant to try all this on |
//! | [`control`] | the socket that a running source answers |
//! | [`check`] | looks at all that a source needs, and says what is wrong |
//! | [`status`] | where each stream stands, for those who ask |
//! | [`telemetry`], [`time`] | log, metrics, own events; pieces of time |

pub mod check;
pub mod cli;
pub mod collect;
pub mod config;
pub mod connect;
pub mod control;
pub mod ecs;
pub mod emulator;
pub mod graph;
pub mod outlet;
pub mod record;
pub mod state;
pub mod status;
pub mod stream;
pub mod telemetry;
pub mod time;
