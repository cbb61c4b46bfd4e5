//! Records that the pipeline will not take: a file in the source's own event format, so that
//! Vector can read them again.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use uuid::Uuid;

use super::OutletError;
use crate::{
    record::{Batch, Event},
    stream::Stream,
};

/// The file of dead letters, its owner's alone (0600) and bounded.
pub struct DeadLetters {
    path: PathBuf,
    limit: u64,
    /// Held while writing, so that lines do not mix: how many were set aside, by stream.
    written: Mutex<Held>,
}

/// How many dead letters there are of each stream.
pub type Held = BTreeMap<(Uuid, Stream), u64>;

impl DeadLetters {
    /// Bytes that the file may hold.
    pub const LIMIT: u64 = 64 << 20;

    /// Dead letters in `dir`, with those that are there. The file is made with the first one.
    #[must_use]
    pub fn new(dir: &Path, limit: u64) -> Self {
        let path = dir.join("dead-letters.ndjson");
        Self {
            written: Mutex::new(count(&path)),
            path,
            limit,
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many of a stream were set aside: those that the file held at the start, and every one
    /// since.
    #[must_use]
    pub fn of(&self, tenant: Uuid, stream: Stream) -> u64 {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(&(tenant, stream)).copied().unwrap_or_default()
    }

    /// Sets an event aside, for good once this returns. `false` when the file is full.
    ///
    /// # Errors
    /// [`OutletError::DeadLetters`] when it cannot be written.
    pub fn put(&self, batch: &Batch, event: &Event) -> Result<bool, OutletError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let put = self.append(&event.line);
        let put = put.map_err(|source| OutletError::DeadLetters {
            path: self.path.display().to_string(),
            source,
        })?;
        if put {
            let stream = (batch.origin.tenant, batch.origin.stream);
            *written.entry(stream).or_default() += 1;
        }
        Ok(put)
    }

    fn append(&self, line: &[u8]) -> io::Result<bool> {
        let mut file = self.open()?;
        if file.metadata()?.len() + line.len() as u64 > self.limit {
            return Ok(false);
        }
        if ends_within_a_line(&mut file)? {
            file.write_all(b"\n")?;
        }
        file.write_all(line)?;
        file.sync_all()?;
        Ok(true)
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }
}

/// Whether a write to the file was cut short, by a crash or a full disk.
fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Counts what a file holds; none where there is no file. A line that is no event is not ours.
fn count(path: &Path) -> Held {
    #[derive(Deserialize)]
    struct Line {
        entra_id: Envelope,
    }
    #[derive(Deserialize)]
    struct Envelope {
        tenant_id: Uuid,
        stream: Stream,
    }
    let mut held = Held::new();
    let Ok(file) = File::open(path) else {
        return held;
    };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        if let Ok(Line { entra_id }) = serde_json::from_str(&line) {
            let stream = (entra_id.tenant_id, entra_id.stream);
            *held.entry(stream).or_default() += 1;
        }
    }
    held
}
