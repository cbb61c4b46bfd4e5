//! An outlet that maps what it is given and writes the documents to a file: the pipeline and the
//! sink of `demo`, in this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::Deserialize;

use super::Mapper;
use crate::{
    outlet::{Outlet, OutletError},
    record::Batch,
    stream::Stream,
};

/// A file of ECS documents, one a line.
#[derive(Clone)]
pub struct EcsFile(Arc<Mutex<Inner>>);

struct Inner {
    mapper: Mapper,
    file: BufWriter<File>,
    written: BTreeMap<Stream, Written>,
    /// The document to show: of those written, the one with the most to see.
    sample: Option<String>,
}

/// What was written of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub documents: u64,
    pub pipeline_errors: u64,
    /// Every revision of every record that was delivered.
    pub revisions: BTreeSet<(String, u32)>,
    /// Revisions that were delivered more than once.
    pub repeats: u64,
}

impl Written {
    /// Records, whatever their revisions.
    #[must_use]
    pub fn records(&self) -> usize {
        let ids: BTreeSet<&str> = self.revisions.iter().map(|(id, _)| id.as_str()).collect();
        ids.len()
    }
}

impl EcsFile {
    /// Maps with `mapper` into a new file at `path`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, mapper: Mapper) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Inner {
            mapper,
            file: BufWriter::new(File::create(path)?),
            written: BTreeMap::new(),
            sample: None,
        }))))
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> BTreeMap<Stream, Written> {
        self.lock().written.clone()
    }

    /// Revisions written so far.
    #[must_use]
    pub fn revisions(&self, stream: Stream) -> usize {
        let inner = self.lock();
        inner
            .written
            .get(&stream)
            .map_or(0, |written| written.revisions.len())
    }

    /// One of the documents.
    #[must_use]
    pub fn sample(&self) -> Option<String> {
        self.lock().sample.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Envelope {
    entra_id: EntraId,
}

#[derive(Deserialize)]
struct EntraId {
    document_id: String,
    revision: u32,
}

impl Inner {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let written = self.written.entry(batch.origin.stream).or_default();
        for event in &batch.events {
            let line = String::from_utf8_lossy(&event.line);
            let line = line.trim_end();
            let errors = self.mapper.pipeline_errors;
            for document in self.mapper.map(line) {
                writeln!(self.file, "{document}")?;
                written.documents += 1;
                if batch.origin.stream == Stream::SignIns {
                    let shorter = |sample: &String| sample.len() < document.len();
                    if self.sample.as_ref().is_none_or(shorter) {
                        self.sample = Some(document);
                    }
                }
            }
            written.pipeline_errors += self.mapper.pipeline_errors - errors;
            let Envelope { entra_id } = serde_json::from_str(line)?;
            if !written
                .revisions
                .insert((entra_id.document_id, entra_id.revision))
            {
                written.repeats += 1;
            }
        }
        self.file.flush()
    }
}

#[async_trait]
impl Outlet for EcsFile {
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        let this = self.clone();
        let batch = batch.clone();
        // Mapping is work for a processor, not for the loop that waits for the network.
        let written = tokio::task::spawn_blocking(move || this.lock().write(&batch)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(OutletError::File(error)),
            Err(error) => Err(OutletError::File(io::Error::other(error))),
        }
    }
}
