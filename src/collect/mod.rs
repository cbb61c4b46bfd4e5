//! Collection: what to read, whether it is new, and the driver that does both.
//!
//! [`Ledger`] (with [`coverage`], [`schedule`], [`budget`]) and [`revision`] are pure; [`Driver`] performs
//! what they decide.

pub mod budget;
pub mod clock;
pub mod coverage;
pub mod driver;
pub mod ledger;
mod memory;
mod pages;
pub mod read;
mod report;
pub mod revision;
pub mod schedule;
mod settings;
mod step;
mod stream_ledger;

pub use budget::Budget;
pub use clock::{Clock, SystemClock};
pub use driver::{Driver, Halt};
pub use ledger::Ledger;
pub use memory::Memory;
pub use read::Class;
pub use settings::Settings;
