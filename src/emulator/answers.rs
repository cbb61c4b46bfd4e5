//! Graph's and Entra's answers other than pages, in their own shapes.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Response, header};
use serde_json::json;
use uuid::Uuid;

/// 401 for a bearer token that is unknown or too old.
pub fn refused_bearer() -> Response<Bytes> {
    error(
        401,
        "InvalidAuthenticationToken",
        "Lifetime validation failed, the token is expired.",
    )
}

/// microsoft-graph-docs #8612: the code is empty.
pub fn expired_page_token() -> Response<Bytes> {
    error(400, "", "Invalid Skip Token")
}

/// An error as Graph words it.
pub fn error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let body = json!({
        "error": {"code": code, "message": message, "innerError": {
            "request-id": "00000000-0000-0000-0000-000000000000",
        }},
    });
    respond(status, "application/json", body.to_string())
}

/// An error as the token endpoint words it.
pub fn token_error(
    status: u16,
    kind: &str,
    code: u32,
    text: &str,
    now: DateTime<Utc>,
) -> Response<Bytes> {
    let time = now.format("%Y-%m-%d %H:%M:%SZ");
    let id = Uuid::nil();
    let body = json!({
        "error": kind,
        "error_description":
            format!("{text} Trace ID: {id} Correlation ID: {id} Timestamp: {time}"),
        "error_codes": [code],
        "timestamp": time.to_string(),
        "trace_id": id,
        "correlation_id": id,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    respond(status, "application/json", body.to_string())
}

/// A response with a body.
pub fn respond(status: u16, content_type: &str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    set(&mut response, header::CONTENT_TYPE, content_type);
    response
}

/// Sets a header; a value that is none is left out.
pub fn set(response: &mut Response<Bytes>, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}
