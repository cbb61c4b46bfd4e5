//! An emulated Entra tenant: token endpoint and Graph, for `demo`, for tests and for trying a
//! configuration without a tenant.
//!
//! [`Service`] is the whole of it, request in and response out; [`Server`] is a thin TLS shell
//! around it. What it answers follows Graph's documentation and what others have measured, defects
//! included. It has not been compared with a live tenant.

mod answers;
mod assertion;
mod cursors;
mod faults;
pub mod odata;
pub mod records;
mod server;
mod service;
mod tenant;
mod tokens;

pub use faults::{Fault, Faults, RetryAfter};
pub use server::{Server, ServerError};
pub use service::{Reply, Served, Service, Throttle};
pub use tenant::{Plan, Stored, Tenant, Version};
pub use tokens::App;
