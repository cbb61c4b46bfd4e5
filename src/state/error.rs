//! What can be wrong with the state file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use redb::{DatabaseError, StorageError};

/// Why the state cannot be used. Every case halts the process: without its state the source would
/// not know what was delivered.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "the state file {path} is in use by another process, and was for {} s; stop that one, or \
         give this one a state_dir of its own", .waited.as_secs(), path = .path.display()
    )]
    InUse { path: PathBuf, waited: Duration },
    #[error(
        "the state file {path} cannot be read or written: {source}; state_dir must be a directory \
         that the source's user may write to, with room on its disk", path = .path.display()
    )]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the state file {path} is damaged or not ours ({reason}); restore it from a backup, or \
         move it away to start anew: records of the last start_secs are then delivered again",
        path = .path.display()
    )]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "the state file was written with collect.slot_secs {was}, and the configuration says \
         {is}: set it back, or give the source another state_dir"
    )]
    OtherSlots { was: i64, is: i64 },
    #[error(
        "the state file {path} has version {found}, and this program knows {known}; use the \
         program that wrote it", path = .path.display()
    )]
    OtherVersion {
        path: PathBuf,
        found: u64,
        known: u64,
    },
}

impl StateError {
    pub(super) fn of_open(path: &Path, error: DatabaseError) -> Self {
        let path = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse {
                    path,
                    waited: Duration::ZERO,
                }
            }
            DatabaseError::Storage(error) => Self::of(&path, error),
            other => Self::Unusable {
                path,
                reason: other.to_string(),
            },
        }
    }

    pub(super) fn of(path: &Path, error: impl Into<redb::Error>) -> Self {
        let path = path.to_owned();
        match error.into() {
            // redb reports a file without its magic number as invalid data.
            redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => {
                Self::Unusable {
                    path,
                    reason: source.to_string(),
                }
            }
            redb::Error::Io(source) => Self::Io { path, source },
            redb::Error::PreviousIo => Self::Io {
                path,
                source: std::io::Error::other("an earlier write failed"),
            },
            other => Self::Unusable {
                path,
                reason: other.to_string(),
            },
        }
    }

    /// For what is in the file and cannot be understood.
    pub(super) fn nonsense(reason: impl std::fmt::Display) -> redb::Error {
        StorageError::Corrupted(reason.to_string()).into()
    }
}
