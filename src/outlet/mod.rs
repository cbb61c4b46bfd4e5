//! The way into the pipeline: a batch goes in, and comes back acked.

mod dead_letters;
mod delivery;
mod error;
mod http;
mod stdout;
mod trial;

use async_trait::async_trait;

pub use dead_letters::DeadLetters;
pub use delivery::Delivery;
pub use error::{Disposition, OutletError};
pub use http::HttpOutlet;
pub use stdout::StdoutOutlet;

use crate::record::Batch;

/// The seam to the pipeline.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Delivers a batch. `Ok` means acked: the pipeline has it for good, as far as this way into
    /// it can tell.
    ///
    /// # Errors
    /// [`OutletError`]; its [`Disposition`] says what to do with the batch.
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError>;
}
