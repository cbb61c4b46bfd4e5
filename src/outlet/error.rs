//! What a pipeline can answer, told apart by what to do with the batch.
//!
//! Vector's replies: vector v0.57.0, src/sources/util/http/prelude.rs and encoding.rs,
//! src/sources/http_server.rs.

use serde_json::Value;

use crate::{graph::SecretError, state::WriteFailed};

/// Why a batch is not acked.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    #[error("no reply from the pipeline ({0}); whether it has the batch is unknown")]
    Unknown(String),
    #[error("the pipeline is not there ({0})")]
    Unreachable(String),
    #[error("the pipeline cannot take the batch now ({status}{message})")]
    Busy { status: u16, message: String },
    #[error("the pipeline refuses the batch (400{0})")]
    Refused(String),
    #[error(
        "the pipeline cannot decode the batch (400{0}): Vector's http_server source needs \
         `decoding: {{codec: json}}` and no `framing` of its own"
    )]
    Undecodable(String),
    #[error("the pipeline finds the batch too large (413{0})")]
    TooLarge(String),
    #[error("the pipeline does not let us in ({status}{message}): {remedy}")]
    Shut {
        status: u16,
        message: String,
        remedy: &'static str,
    },
    #[error(
        "the pipeline's answer is not one of Vector's http_server ({status}{message}); check outlet.http.url"
    )]
    Stranger { status: u16, message: String },
    #[error("there is no password for outlet.http.auth: {0}")]
    NoPassword(SecretError),
    #[error("writing to standard output failed: {0}")]
    Stdout(std::io::Error),
    #[error("what was written to standard output cannot be kept for the next start: {0}")]
    Replay(String),
    #[error("{0}")]
    State(WriteFailed),
    #[error("writing documents failed: {0}")]
    File(std::io::Error),
    #[error("the reader of standard output is gone")]
    ReaderGone,
    #[error("dead letters cannot be written to {path}: {source}")]
    DeadLetters {
        path: String,
        source: std::io::Error,
    },
}

/// What to do with a batch that is not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The same batch again, after a while.
    Resend,
    /// Each half by itself.
    Split,
    /// Something in it, or the sink behind it, is at fault: find out which.
    Refused,
    /// Nothing more can be delivered.
    Halt,
}

impl OutletError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            // A password's file is missing while it is being replaced.
            Self::Unknown(_) | Self::Unreachable(_) | Self::Busy { .. } | Self::NoPassword(_) => {
                Disposition::Resend
            }
            Self::TooLarge(_) => Disposition::Split,
            Self::Refused(_) => Disposition::Refused,
            Self::Undecodable(_)
            | Self::Shut { .. }
            | Self::Stranger { .. }
            | Self::Stdout(_)
            | Self::Replay(_)
            | Self::State(_)
            | Self::File(_)
            | Self::ReaderGone
            | Self::DeadLetters { .. } => Disposition::Halt,
        }
    }

    /// Reads a reply that is no success.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let message = message(body);
        let shut = |remedy| Self::Shut {
            status,
            message: message.clone(),
            remedy,
        };
        match status {
            400 if message.contains("Failed decoding body") => Self::Undecodable(message),
            // A sink's refusal, and any other 400: which record is meant, if any, is not said.
            400 => Self::Refused(message),
            401 | 403 => shut("outlet.http.auth must be the `auth` of the source there"),
            404 => shut("the path of outlet.http.url is not the source's `path`"),
            // It is answered to most wrong paths as well, where `path` is set.
            405 => {
                shut("the source's `method` must be POST, and its `path` that of outlet.http.url")
            }
            413 => Self::TooLarge(message),
            415 | 422 => shut("it cannot decompress the batch; set `compression: none`"),
            408 | 429 | 500..=599 => Self::Busy { status, message },
            _ => Self::Stranger { status, message },
        }
    }
}

/// Vector's `{"code": ..., "message": ...}`, as ` message`; else nothing.
fn message(body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let text: String = parsed["message"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    if text.is_empty() {
        text
    } else {
        format!(" {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disposition(status: u16, message: &str) -> Disposition {
        let body = format!(r#"{{"code":{status},"message":"{message}"}}"#);
        OutletError::read(status, body.as_bytes()).disposition()
    }

    #[test]
    fn every_reply_of_vector_has_its_disposition() {
        use Disposition as D;
        assert_eq!(disposition(400, "Failed decoding body: x"), D::Halt);
        assert_eq!(disposition(400, "Contents failed to deliver"), D::Refused);
        assert_eq!(disposition(401, ""), D::Halt);
        assert_eq!(disposition(404, ""), D::Halt);
        assert_eq!(disposition(405, ""), D::Halt);
        assert_eq!(disposition(413, ""), D::Split);
        assert_eq!(disposition(415, ""), D::Halt);
        assert_eq!(disposition(422, ""), D::Halt);
        assert_eq!(
            disposition(500, "Error delivering contents to sink"),
            D::Resend
        );
        assert_eq!(disposition(503, ""), D::Resend);
        assert_eq!(disposition(302, ""), D::Halt);
    }
}
