//! What can go wrong between us and Graph, told apart by what to do about it.
//!
//! Codes and texts: Microsoft Graph, "Error responses and resource types" and "Throttling
//! guidance"; for the log endpoints, which document few of theirs, the public reports named at
//! each reading.

use std::{sync::LazyLock, time::Duration};

use http::StatusCode;
use serde_json::Value;

use super::{TokenError, TransportError};
use crate::stream::Stream;

/// Why a page did not come.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("Graph throttles (429){}", wait(.retry_after))]
    Throttled { retry_after: Option<Duration> },
    #[error("Graph is in trouble ({status} {code}){}", wait(.retry_after))]
    Server {
        status: u16,
        code: String,
        retry_after: Option<Duration>,
    },
    #[error("Graph's page cannot be read, though its status was 200: {0}")]
    BrokenPage(String),
    #[error("Graph no longer knows the page token; the window is read again")]
    PageTokenExpired,
    #[error("Graph refuses the page size; at most {max} rows are allowed")]
    PageTooLarge { max: u32 },
    #[error("Graph refuses the token (401 {code} {message}); a new one is asked for")]
    TokenRefused { code: String, message: String },
    #[error(
        "the permission {permission} is missing (403): grant it to the app as an application \
         permission and give admin consent"
    )]
    PermissionMissing { permission: String },
    #[error(
        "Graph cannot check the tenant's licence (403): grant the app the application permission \
         Directory.Read.All as well and give admin consent"
    )]
    DirectoryReadMissing,
    #[error("the tenant has no licence for this stream ({status}): it needs {licence}")]
    NoLicence { status: u16, licence: String },
    #[error(
        "conditional access for workload identities keeps the app out (403 insufficient_claims): \
         exclude the app from the policy or allow this address"
    )]
    ConditionalAccess,
    #[error("this cloud does not offer the stream ({status} {message})")]
    NotOffered { status: u16, message: String },
    #[error("Graph refuses the filter (400 {message})")]
    FilterRefused { message: String },
    #[error(
        "Graph's next page lies on another host, {host}; no token is sent there and the window is \
         read again"
    )]
    ForeignNextLink { host: String },
    #[error("Graph answers what it should not ({status} {code}): {message}")]
    Unexpected {
        status: u16,
        code: String,
        message: String,
    },
}

/// What a failed request asks for. `None` waits mean that the caller backs off by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The same page again.
    Retry { after: Option<Duration> },
    /// The same page again, and every request of the bucket waits too.
    Throttle { after: Option<Duration> },
    /// The whole window again, narrower.
    RestartWindow,
    /// The window again with pages of at most `max` rows.
    SmallerPages { max: u32 },
    /// Graph will not answer this stream; it is tried again after a long while.
    Unavailable,
    /// Graph does not allow the range filter; the stream is read whole, if it is small by nature.
    FilterRefused,
    /// Nothing of this tenant can be read until somebody mends the configuration.
    HaltTenant,
}

impl GraphError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Transport(TransportError::TimedOut { .. }) => Disposition::RestartWindow,
            Self::Transport(_)
            | Self::BrokenPage(_)
            | Self::TokenRefused { .. }
            | Self::Unexpected { .. } => Disposition::Retry { after: None },
            Self::Token(error) if error.is_permanent() => Disposition::HaltTenant,
            Self::Token(_) => Disposition::Retry { after: None },
            Self::Throttled { retry_after } => Disposition::Throttle {
                after: *retry_after,
            },
            Self::Server { retry_after, .. } => Disposition::Retry {
                after: *retry_after,
            },
            Self::PageTokenExpired | Self::ForeignNextLink { .. } => Disposition::RestartWindow,
            Self::PageTooLarge { max } => Disposition::SmallerPages { max: *max },
            Self::PermissionMissing { .. }
            | Self::DirectoryReadMissing
            | Self::NoLicence { .. }
            | Self::ConditionalAccess
            | Self::NotOffered { .. } => Disposition::Unavailable,
            Self::FilterRefused { .. } => Disposition::FilterRefused,
        }
    }

    /// Reads an answer that is not a page. `following` says that the URL was a nextLink.
    #[must_use]
    pub fn read(
        stream: Stream,
        status: StatusCode,
        retry_after: Option<Duration>,
        body: &[u8],
        following: bool,
    ) -> Self {
        let (code, message) = code_and_message(body);
        let number = status.as_u16();
        let says = |part: &str| contains(&message, part);
        match number {
            429 => Self::Throttled { retry_after },
            408 | 500..=599 => Self::Server {
                status: number,
                code,
                retry_after,
            },
            // microsoft-graph-docs #2789: its text speaks of the licence that cannot be checked.
            403 if contains(&code, "ApplicationHasNoDirectoryReadAccess") => {
                Self::DirectoryReadMissing
            }
            // microsoft-graph-docs #7618, msgraph-sdk-dotnet #1006: the code has come
            // with 401 and with 403.
            401 | 403 if contains(&code, "NonPremiumTenant") || says("licens") => Self::NoLicence {
                status: number,
                licence: stream.entry().licence.into(),
            },
            401 if says("not provisioned") => Self::NoLicence {
                status: number,
                licence: stream.entry().licence.into(),
            },
            401 => Self::TokenRefused { code, message },
            403 if contains(&code, "insufficient_claims") => Self::ConditionalAccess,
            // Without a code it is no answer of Graph's, but of something on the way.
            403 if !code.is_empty() => Self::PermissionMissing {
                permission: permission_in(&message)
                    .unwrap_or_else(|| stream.entry().permission.into()),
            },
            400 if says("Invalid page size") => Self::PageTooLarge {
                max: last_number(&message).unwrap_or(100),
            },
            // microsoft-graph-docs #8612, msgraph-sdk-powershell #451 and #1388: no stable code,
            // sometimes an empty one.
            400 if following && says("token") => Self::PageTokenExpired,
            404 if following => Self::PageTokenExpired,
            400 | 404 if says("Resource not found for the segment") => Self::NotOffered {
                status: number,
                message,
            },
            404 => Self::NotOffered {
                status: number,
                message: if message.is_empty() { code } else { message },
            },
            400 if says("filter") || says("Could not find a property") => {
                Self::FilterRefused { message }
            }
            _ => Self::Unexpected {
                status: number,
                code,
                message,
            },
        }
    }
}

/// `error.code` and `error.message`, as one line each; a body that is no such thing (a gateway's
/// HTML, say) gives its status' own words.
fn code_and_message(body: &[u8]) -> (String, String) {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &parsed["error"];
    let text = |key: &str| {
        let text = error[key].as_str().unwrap_or_default();
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(300)
            .collect()
    };
    (text("code"), text("message"))
}

fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase()
        .contains(&part.to_ascii_lowercase())
}

/// The permission that Graph's own text names, as in "… permissions AuditLog.Read.All".
fn permission_in(message: &str) -> Option<String> {
    static NAME: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut names: Vec<String> = Stream::ALL
            .map(|stream| stream.entry().permission.to_owned())
            .into();
        names.push("Directory.Read.All".into());
        names
    });
    NAME.iter().find(|name| message.contains(*name)).cloned()
}

fn last_number(message: &str) -> Option<u32> {
    message
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .next_back()
}

fn wait(after: &Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!(", and asks for {:.1} s", after.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, code: &str, message: &str, following: bool) -> GraphError {
        let body = serde_json::json!({ "error": { "code": code, "message": message } });
        GraphError::read(
            Stream::SignIns,
            StatusCode::from_u16(status).unwrap(),
            None,
            body.to_string().as_bytes(),
            following,
        )
    }

    fn disposition(status: u16, code: &str, message: &str) -> Disposition {
        read(status, code, message, false).disposition()
    }

    #[test]
    fn a_missing_permission_is_named_from_the_text_or_the_catalogue() {
        let named = read(
            403,
            "Authentication_MSGraphPermissionMissing",
            "Calling principal does not have required MSGraph permissions AuditLog.Read.All",
            false,
        );
        assert!(named.to_string().contains("AuditLog.Read.All"), "{named}");
        let unnamed = GraphError::read(
            Stream::RiskyUsers,
            StatusCode::FORBIDDEN,
            None,
            br#"{"error":{"code":"Forbidden","message":"You cannot perform the requested operation, required scopes are missing in the token."}}"#,
            false,
        );
        assert!(
            unnamed.to_string().contains("IdentityRiskyUser.Read.All"),
            "{unnamed}"
        );
        assert_eq!(named.disposition(), Disposition::Unavailable);
    }

    #[test]
    fn a_missing_licence_is_told_apart_under_either_status() {
        for status in [401, 403] {
            let error = read(
                status,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
                false,
            );
            assert!(matches!(error, GraphError::NoLicence { .. }), "{error}");
            assert!(error.to_string().contains("P1 or P2"), "{error}");
        }
        let error = read(401, "Unauthorized", "Account is not provisioned.", false);
        assert!(matches!(error, GraphError::NoLicence { .. }), "{error}");
    }

    #[test]
    fn a_licence_that_cannot_be_checked_is_a_missing_permission() {
        let error = read(
            403,
            "Authentication_ApplicationHasNoDirectoryReadAccess",
            "Failed to do premium license check from ADGraph",
            false,
        );
        assert!(error.to_string().contains("Directory.Read.All"), "{error}");
    }

    #[test]
    fn an_expired_page_token_is_one_only_while_following_a_next_link() {
        for message in [
            "Invalid Skip Token",
            "Invalid Skip Token, skip token is null",
            "Token not found: token is either invalid or expired",
        ] {
            let error = read(400, "", message, true);
            assert!(matches!(error, GraphError::PageTokenExpired), "{error}");
            let error = read(400, "", message, false);
            assert!(!matches!(error, GraphError::PageTokenExpired), "{error}");
        }
    }

    #[test]
    fn each_refusal_has_its_own_disposition() {
        use Disposition as D;
        assert_eq!(
            disposition(400, "BadRequest", "Invalid filter clause"),
            D::FilterRefused
        );
        assert_eq!(
            disposition(
                400,
                "BadRequest",
                "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'"
            ),
            D::FilterRefused
        );
        assert_eq!(
            disposition(
                400,
                "BadRequest",
                "Invalid page size specified: '1000'. Must be between 1 and 500 inclusive."
            ),
            D::SmallerPages { max: 500 }
        );
        assert_eq!(
            disposition(
                400,
                "BadRequest",
                "Resource not found for the segment 'signIns'."
            ),
            D::Unavailable
        );
        assert_eq!(disposition(404, "UnknownError", ""), D::Unavailable);
        assert_eq!(
            disposition(
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired."
            ),
            D::Retry { after: None }
        );
        assert_eq!(disposition(403, "insufficient_claims", ""), D::Unavailable);
        for status in [500, 502, 503, 504] {
            assert_eq!(
                disposition(status, "UnknownError", ""),
                D::Retry { after: None }
            );
        }
        assert_eq!(
            disposition(429, "TooManyRequests", ""),
            D::Throttle { after: None }
        );
        assert_eq!(disposition(418, "", ""), D::Retry { after: None });
        assert_eq!(disposition(403, "", ""), D::Retry { after: None });
    }

    #[test]
    fn a_gateway_s_html_is_a_server_in_trouble() {
        let error = GraphError::read(
            Stream::SignIns,
            StatusCode::BAD_GATEWAY,
            None,
            b"<html>Bad gateway</html>",
            false,
        );
        assert_eq!(error.disposition(), Disposition::Retry { after: None });
    }
}
