//! Records that the pipeline will not take: a file in the source's own event format, so that
//! Vector can read them again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::OutletError;
use crate::record::Event;

/// The file of dead letters, its owner's alone (0600) and bounded.
pub struct DeadLetters {
    path: PathBuf,
    limit: u64,
    /// Held while writing, so that lines do not mix.
    writing: Mutex<()>,
}

impl DeadLetters {
    /// Bytes that the file may hold.
    pub const LIMIT: u64 = 64 << 20;

    /// Dead letters in `dir`. The file is made with the first one.
    #[must_use]
    pub fn new(dir: &Path, limit: u64) -> Self {
        Self {
            path: dir.join("dead-letters.ndjson"),
            limit,
            writing: Mutex::new(()),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets an event aside, for good once this returns. `false` when the file is full.
    ///
    /// # Errors
    /// [`OutletError::DeadLetters`] when it cannot be written.
    pub fn put(&self, event: &Event) -> Result<bool, OutletError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.append(&event.line)
            .map_err(|source| OutletError::DeadLetters {
                path: self.path.display().to_string(),
                source,
            })
    }

    fn append(&self, line: &[u8]) -> io::Result<bool> {
        let mut file = self.open()?;
        if file.metadata()?.len() + line.len() as u64 > self.limit {
            return Ok(false);
        }
        file.write_all(line)?;
        file.sync_all()?;
        Ok(true)
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }
}
