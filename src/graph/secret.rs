//! Where a secret comes from. The secret itself is never part of a configuration.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use azure_core::credentials::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names the place of a secret: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSource {
    /// Environment variable that holds it.
    pub env: Option<String>,
    /// File that holds it; line breaks at its end do not count.
    pub file: Option<PathBuf>,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("name one place: either `env`, an environment variable, or `file`, a path")]
    NotOnePlace,
    #[error("`env` is not the name of an environment variable: letters, digits and underscores")]
    NotAName,
    #[error("the environment variable {0} is not set; set it to the secret's value")]
    NotSet(String),
    #[error("cannot read {path}: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("{0} holds no secret; put the secret's value there")]
    Empty(String),
}

impl SecretSource {
    /// Reads the secret from its place, anew each time, so that a rotated one is found.
    ///
    /// # Errors
    /// [`SecretError`], naming the place and never the secret.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let (place, text) = match (&self.env, &self.file) {
            // What is no name may be the secret itself, and is not repeated.
            (Some(name), None) if !is_name(name) => return Err(SecretError::NotAName),
            (Some(name), None) => {
                let shown = shown_name(name);
                let text = env::var(name).map_err(|_| SecretError::NotSet(shown.clone()))?;
                (shown, text)
            }
            (None, Some(path)) => {
                let place = shown(path);
                let text = fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
                    path: place.clone(),
                    source,
                })?;
                (place, text)
            }
            _ => return Err(SecretError::NotOnePlace),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(SecretError::Empty(place));
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// A path as it may be shown: what has no directory, or lines, may be the secret itself that was
/// written where its place belongs.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains('/') && !text.contains(char::is_control) && !text.contains("-----") {
        text
    } else {
        "a file of the name that stands there".into()
    }
}

/// A name as it may be shown, likewise.
fn shown_name(name: &str) -> String {
    let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(is_usual) {
        true => name.to_owned(),
        false => "that is named there".into(),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_last_line_break_is_not_part_of_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "s3cr3t~value\r\n").unwrap();
        let source = SecretSource {
            env: None,
            file: Some(path),
        };
        assert_eq!(source.read().unwrap().secret(), "s3cr3t~value");
    }

    #[test]
    fn a_secret_does_not_show_in_debug() {
        let text = format!("{:?}", Secret::new("s3cr3t~value"));
        assert!(!text.contains("s3cr3t"), "{text}");
    }

    #[test]
    fn two_places_or_none_are_refused() {
        let both = SecretSource {
            env: Some("A".into()),
            file: Some("b".into()),
        };
        assert!(matches!(both.read(), Err(SecretError::NotOnePlace)));
        let none = SecretSource::default();
        assert!(matches!(none.read(), Err(SecretError::NotOnePlace)));
    }
}
