//! What a token says of itself. It is read as a hint and never trusted: Graph judges.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

/// The claims of an app's token that concern us (Entra, "Access token claims reference").
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The application permissions that were consented to; without consent the claim is absent.
    pub roles: BTreeSet<String>,
    /// The app's own id.
    pub appid: Option<Uuid>,
}

impl Claims {
    /// Those of a token; `None` where it is no JWT that can be read.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_their_absence_is_none_at_all() {
        let token = |claims: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        let claims = Claims::of(&token(r#"{"roles":["AuditLog.Read.All"],"exp":1}"#)).unwrap();
        assert_eq!(claims.roles, BTreeSet::from(["AuditLog.Read.All".into()]));
        assert_eq!(Claims::of(&token("{}")), Some(Claims::default()));
        assert_eq!(Claims::of("opaque"), None);
    }
}
