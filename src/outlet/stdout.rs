//! Delivery to Vector's `exec` source: NDJSON on standard output.
//!
//! Vector cannot acknowledge there: what it has read and not yet stored is lost with it. So a batch
//! counts as acked once it is written and flushed, and the records that were written last are kept,
//! and written again by the next start, in the order in which they were written.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use async_trait::async_trait;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

use super::{Outlet, OutletError};
use crate::{
    record::{Batch, Content},
    state::State,
};

/// An outlet to a stream of bytes, one batch after another.
pub struct StdoutOutlet<W = tokio::io::Stdout> {
    output: Mutex<W>,
    state: Arc<State>,
    /// Records that are kept for a replay; 0 for none.
    keep: u64,
}

impl StdoutOutlet {
    /// To standard output; the last `keep` records are kept in `state`.
    #[must_use]
    pub fn new(state: Arc<State>, keep: u32) -> Self {
        Self::to(tokio::io::stdout(), state, keep)
    }
}

impl<W: AsyncWrite + Unpin + Send> StdoutOutlet<W> {
    /// An outlet to something else than standard output.
    pub fn to(output: W, state: Arc<State>, keep: u32) -> Self {
        Self {
            output: Mutex::new(output),
            state,
            keep: keep.into(),
        }
    }

    /// Writes what was kept, as it was written before. Returns how many records that were.
    ///
    /// # Errors
    /// [`OutletError`] when it cannot be read or written.
    pub async fn replay(&self) -> Result<usize, OutletError> {
        if self.keep == 0 {
            let cleared = self.state.clear_replay().await;
            cleared.map_err(|error| OutletError::Replay(error.to_string()))?;
            return Ok(0);
        }
        let replay = |error: &dyn std::fmt::Display| OutletError::Replay(error.to_string());
        let mut records = 0;
        let mut after = 0;
        // One batch at a time: all of them together are too much to hold.
        while let Some((number, lines)) = self.state.replay(after).map_err(|e| replay(&e))? {
            let mut plain = Vec::new();
            let read = GzDecoder::new(&lines[..]).read_to_end(&mut plain);
            read.map_err(|e| replay(&e))?;
            write(&mut *self.output.lock().await, &plain).await?;
            records += plain.split(|byte| *byte == b'\n').count() - 1;
            after = number;
        }
        Ok(records)
    }
}

async fn write(output: &mut (impl AsyncWrite + Unpin), lines: &[u8]) -> Result<(), OutletError> {
    let written = async {
        output.write_all(lines).await?;
        output.flush().await
    };
    written.await.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => OutletError::ReaderGone,
        _ => OutletError::Stdout(error),
    })
}

fn gzip(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 8), Compression::fast());
    encoder.write_all(lines)?;
    encoder.finish()
}

#[async_trait]
impl<W: AsyncWrite + Unpin + Send> Outlet for StdoutOutlet<W> {
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        let body = batch.body();
        let keep = self.keep > 0 && batch.content == Content::Records;
        let mut output = self.output.lock().await;
        write(&mut *output, &body).await?;
        if !keep {
            return Ok(());
        }
        let lines = gzip(&body).map_err(|error| OutletError::Replay(error.to_string()))?;
        let events = batch.events.len() as u64;
        // Handed over before the next batch is written, so that the order is the same.
        let kept = self.state.keep_for_replay(lines, events, self.keep);
        drop(output);
        let kept = kept.await;
        kept.map_err(|error| OutletError::Replay(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        record::{Event, Hash, Key, Known, Origin},
        stream::Stream,
    };

    fn batch(lines: &[&str], content: Content) -> Batch {
        let event = |line: &&str| Event {
            line: (*line).to_owned().into(),
            key: Key {
                slot: DateTime::UNIX_EPOCH,
                id: Hash(0),
            },
            known: Known {
                raw: Hash(0),
                canonical: Hash(0),
                revision: 0,
                first_seen: DateTime::UNIX_EPOCH,
                observed_ms: 0,
                seen_ms: 0,
            },
        };
        Batch {
            origin: Origin {
                tenant: Uuid::nil(),
                stream: Stream::SignIns,
                cloud: "global".into(),
            },
            events: lines.iter().map(event).collect(),
            content,
        }
    }

    async fn replayed(state: &Arc<State>, keep: u32) -> (usize, String) {
        let outlet = StdoutOutlet::to(Vec::new(), Arc::clone(state), keep);
        let records = outlet.replay().await.unwrap();
        let text = String::from_utf8(outlet.output.into_inner()).unwrap();
        (records, text)
    }

    #[tokio::test]
    async fn a_start_writes_again_what_was_written_last_in_its_order() {
        let state = Arc::new(State::in_memory().unwrap());
        let outlet = StdoutOutlet::to(Vec::new(), Arc::clone(&state), 3);
        for lines in [&["a\n", "b\n"][..], &["c\n", "d\n"], &["e\n"]] {
            outlet
                .deliver(&batch(lines, Content::Records))
                .await
                .unwrap();
        }
        assert_eq!(outlet.output.into_inner(), b"a\nb\nc\nd\ne\n");
        // Whole batches are kept, as few as hold three records.
        assert_eq!(replayed(&state, 3).await, (3, "c\nd\ne\n".into()));
        assert_eq!(replayed(&state, 3).await, (3, "c\nd\ne\n".into()));
    }

    #[tokio::test]
    async fn what_the_source_says_about_itself_is_not_said_again() {
        let state = Arc::new(State::in_memory().unwrap());
        let outlet = StdoutOutlet::to(Vec::new(), Arc::clone(&state), 3);
        outlet
            .deliver(&batch(&["s\n"], Content::Status))
            .await
            .unwrap();
        assert_eq!(replayed(&state, 3).await, (0, String::new()));
    }

    #[tokio::test]
    async fn with_nothing_to_keep_nothing_is_kept() {
        let state = Arc::new(State::in_memory().unwrap());
        let outlet = StdoutOutlet::to(Vec::new(), Arc::clone(&state), 3);
        outlet
            .deliver(&batch(&["a\n"], Content::Records))
            .await
            .unwrap();
        assert_eq!(replayed(&state, 0).await, (0, String::new()));
        assert_eq!(replayed(&state, 3).await, (0, String::new()));
    }
}
