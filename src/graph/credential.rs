//! How the source proves to Entra who it is: one of four ways.

use std::{fs, path::PathBuf};

use chrono::{DateTime, NaiveTime, Utc};
use uuid::Uuid;

use super::{CertificateError, CertificateSource, SecretError, SecretSource};
use crate::record::Hash;

/// An app registration with its proof, or the identity of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    App {
        client_id: Uuid,
        proof: Proof,
    },
    /// A managed identity: the system-assigned one, or the user-assigned one of this id.
    ManagedIdentity {
        client_id: Option<Uuid>,
    },
}

/// What an app shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret {
        source: SecretSource,
        /// When it expires, where the operator said so: Entra does not tell the app itself.
        expires: Option<chrono::NaiveDate>,
    },
    Certificate(CertificateSource),
    /// Workload identity federation: a token of another issuer, which that keeps fresh in a file.
    Federated {
        token_file: PathBuf,
    },
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("cannot read the federated token in {path}: {reason}")]
    Federated { path: String, reason: String },
}

impl Credential {
    /// The app's or the user-assigned identity's id.
    #[must_use]
    pub fn client_id(&self) -> Option<Uuid> {
        match self {
            Self::App { client_id, .. } => Some(*client_id),
            Self::ManagedIdentity { client_id } => *client_id,
        }
    }

    /// What it is called in messages and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::App { proof, .. } => match proof {
                Proof::Secret { .. } => "client_secret",
                Proof::Certificate(_) => "certificate",
                Proof::Federated { .. } => "workload_identity",
            },
            Self::ManagedIdentity { .. } => "managed_identity",
        }
    }

    /// Whether what it shows is there and can be used.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn check(&self) -> Result<(), CredentialError> {
        match self {
            Self::App { proof, .. } => proof.check(),
            Self::ManagedIdentity { .. } => Ok(()),
        }
    }

    /// When it expires, as far as that can be known.
    #[must_use]
    pub fn expires(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::App {
                proof: Proof::Secret { expires, .. },
                ..
            } => Some(expires.as_ref()?.and_time(NaiveTime::MIN).and_utc()),
            Self::App {
                proof: Proof::Certificate(source),
                ..
            } => Some(source.read().ok()?.not_after),
            _ => None,
        }
    }

    /// A hash of what its files hold, to see when they are replaced; `None` where nothing can be
    /// replaced while the process runs.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Hash> {
        let Self::App { proof, .. } = self else {
            return None;
        };
        let files: Vec<&PathBuf> = match proof {
            Proof::Secret { source, .. } => source.file.iter().collect(),
            Proof::Certificate(source) => source.files().collect(),
            Proof::Federated { token_file } => vec![token_file],
        };
        if files.is_empty() {
            return None;
        }
        let held = files
            .into_iter()
            .map(|file| fs::read(file).unwrap_or_default());
        let hashes: Vec<String> = held.map(|held| Hash::of(&held).hex()).collect();
        Some(Hash::of(hashes.join(" ").as_bytes()))
    }
}

impl Proof {
    /// Whether it is there and can be used.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn check(&self) -> Result<(), CredentialError> {
        match self {
            Self::Secret { source, .. } => drop(source.read()?),
            Self::Certificate(source) => drop(source.read()?),
            Self::Federated { token_file } => drop(federated_token(token_file)?),
        }
        Ok(())
    }
}

/// Reads the token of the other issuer.
///
/// # Errors
/// [`CredentialError::Federated`], never with what is in the file.
pub(super) fn federated_token(
    path: &PathBuf,
) -> Result<azure_core::credentials::Secret, CredentialError> {
    let failed = |reason: String| CredentialError::Federated {
        path: super::secret::shown(path),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(failed("it is empty".into()));
    }
    Ok(azure_core::credentials::Secret::new(token.to_owned()))
}
