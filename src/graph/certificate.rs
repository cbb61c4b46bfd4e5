//! A certificate that an app proves itself with: read from PEM or PFX, and the assertion signed
//! with its key.
//!
//! The assertion's form: Entra, "Microsoft identity platform application authentication certificate
//! credentials" (PS256, `x5t#S256`).

use std::{fmt, fs, path::PathBuf};

use azure_core::credentials::Secret;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use p12_keystore::KeyStore;
use ring::{
    rand::SystemRandom,
    signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use x509_cert::der::Decode;

use super::{SecretError, SecretSource, secret::shown};

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSource {
    /// PEM, or PFX (PKCS #12) if its name ends in `.pfx` or `.p12`.
    pub file: PathBuf,
    /// PEM file of the key, where it is not in `file`.
    pub key_file: Option<PathBuf>,
    /// The PFX file's password.
    pub password: Option<SecretSource>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {path}: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("{0} holds no certificate (BEGIN CERTIFICATE)")]
    NoCertificate(String),
    #[error(
        "{0} holds no private key (BEGIN PRIVATE KEY); name its file as `key_file`, or put it \
         beside the certificate"
    )]
    NoKey(String),
    #[error(
        "the key in {0} is encrypted; write it without a passphrase into a file for its owner \
         alone, or use a PFX file with `password`"
    )]
    EncryptedKey(String),
    #[error("{path} cannot be opened as PFX: {reason}; is `password` its own?")]
    Pfx { path: String, reason: String },
    #[error(transparent)]
    Password(#[from] SecretError),
    #[error("the key in {path} is no RSA key of 2048 bits or more, as Entra needs: {reason}")]
    NotRsa { path: String, reason: String },
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    OtherKey { certificate: String, key: String },
    #[error("the certificate in {path} cannot be read: {reason}")]
    Malformed { path: String, reason: String },
    #[error("signing failed")]
    Signing,
}

/// A certificate with its key, ready to sign.
pub struct Certificate {
    key: RsaKeyPair,
    sha256: [u8; 32],
    pub not_after: DateTime<Utc>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// A certificate and the key that belongs to it, in DER, with the file that the key came from.
struct Der {
    certificate: Vec<u8>,
    key: Vec<u8>,
    key_file: String,
}

impl CertificateSource {
    /// Reads the certificate from its place, anew each time, so that a rotated one is found.
    ///
    /// # Errors
    /// [`CertificateError`], naming the file and never what is in it.
    pub fn read(&self) -> Result<Certificate, CertificateError> {
        let path = shown(&self.file);
        let der = if self.is_pfx() {
            self.pfx(&path)?
        } else {
            self.pem(&path)?
        };
        let not_rsa = |reason: ring::error::KeyRejected| CertificateError::NotRsa {
            path: der.key_file.clone(),
            reason: reason.to_string(),
        };
        let key = match RsaKeyPair::from_pkcs8(&der.key) {
            Ok(key) => key,
            Err(reason) => RsaKeyPair::from_der(&der.key).map_err(|_| not_rsa(reason))?,
        };
        let malformed = |reason: x509_cert::der::Error| CertificateError::Malformed {
            path: path.clone(),
            reason: reason.to_string(),
        };
        let parsed = x509_cert::Certificate::from_der(&der.certificate).map_err(malformed)?;
        let public = &parsed.tbs_certificate.subject_public_key_info;
        if public.subject_public_key.raw_bytes() != key.public_key().as_ref() {
            return Err(CertificateError::OtherKey {
                certificate: path,
                key: der.key_file,
            });
        }
        let not_after = parsed.tbs_certificate.validity.not_after;
        let not_after = not_after.to_unix_duration().as_secs();
        Ok(Certificate {
            key,
            sha256: Sha256::digest(&der.certificate).into(),
            not_after: i64::try_from(not_after)
                .ok()
                .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        })
    }

    /// The files that a rotation replaces.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.file).chain(&self.key_file)
    }

    fn is_pfx(&self) -> bool {
        let extension = self.file.extension().and_then(|text| text.to_str());
        extension.is_some_and(|text| {
            text.eq_ignore_ascii_case("pfx") || text.eq_ignore_ascii_case("p12")
        })
    }

    fn pem(&self, path: &str) -> Result<Der, CertificateError> {
        let text = read(&self.file)?;
        let certificate = CertificateDer::from_pem_slice(text.as_slice())
            .map_err(|_| CertificateError::NoCertificate(path.into()))?;
        let (key_text, key_file) = match &self.key_file {
            Some(file) => (read(file)?, shown(file)),
            None => (text.clone(), path.to_owned()),
        };
        let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| {
            let text = String::from_utf8_lossy(&key_text);
            if text.contains("ENCRYPTED") {
                CertificateError::EncryptedKey(key_file.clone())
            } else {
                CertificateError::NoKey(key_file.clone())
            }
        })?;
        Ok(Der {
            certificate: certificate.to_vec(),
            key: key.secret_der().to_vec(),
            key_file,
        })
    }

    fn pfx(&self, path: &str) -> Result<Der, CertificateError> {
        let password = match &self.password {
            Some(source) => source.read()?,
            None => Secret::new(""),
        };
        let store =
            KeyStore::from_pkcs12(&read(&self.file)?, password.secret()).map_err(|error| {
                CertificateError::Pfx {
                    path: path.into(),
                    reason: match self.password {
                        Some(_) => error.to_string(),
                        None => format!("{error}, and no `password` is given"),
                    },
                }
            })?;
        let (_, chain) = store
            .private_key_chain()
            .ok_or_else(|| CertificateError::NoKey(path.into()))?;
        let certificate = chain
            .chain()
            .first()
            .ok_or_else(|| CertificateError::NoCertificate(path.into()))?;
        Ok(Der {
            certificate: certificate.as_der().to_vec(),
            key: chain.key().to_vec(),
            key_file: path.into(),
        })
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Unreadable {
        path: shown(path),
        source,
    })
}

impl Certificate {
    /// A signed assertion that the app is `client_id`, for the token endpoint at `audience`; it
    /// lasts ten minutes from `now`.
    ///
    /// # Errors
    /// [`CertificateError::Signing`].
    pub fn assertion(
        &self,
        client_id: Uuid,
        audience: &str,
        now: DateTime<Utc>,
    ) -> Result<Secret, CertificateError> {
        let header = json!({
            "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(self.sha256),
        });
        let claims = json!({
            "aud": audience, "iss": client_id, "sub": client_id, "jti": Uuid::new_v4(),
            "iat": now.timestamp(), "nbf": now.timestamp(),
            "exp": (now + TimeDelta::minutes(10)).timestamp(),
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| CertificateError::Signing)?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{signed}.{signature}")))
    }
}
