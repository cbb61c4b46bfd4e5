//! Delivery to Vector's `exec` source: NDJSON on standard output.
//!
//! Vector cannot acknowledge there, so a batch counts as acked once it is written and flushed.

use async_trait::async_trait;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

use super::{Outlet, OutletError};
use crate::record::Batch;

/// An outlet to a stream of bytes, one batch after another.
pub struct StdoutOutlet<W = tokio::io::Stdout> {
    output: Mutex<W>,
}

impl StdoutOutlet {
    #[must_use]
    pub fn new() -> Self {
        Self::to(tokio::io::stdout())
    }
}

impl Default for StdoutOutlet {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> StdoutOutlet<W> {
    /// An outlet to something else than standard output.
    pub fn to(output: W) -> Self {
        Self {
            output: Mutex::new(output),
        }
    }
}

#[async_trait]
impl<W: AsyncWrite + Unpin + Send> Outlet for StdoutOutlet<W> {
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        let mut output = self.output.lock().await;
        let written = async {
            output.write_all(&batch.body()).await?;
            output.flush().await
        };
        written.await.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => OutletError::ReaderGone,
            _ => OutletError::Stdout(error),
        })
    }
}
