//! HTTP as the rest of the crate sees it: one request in, one whole response out.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

/// The seam to the network. Implementations add nothing: no retry, no redirect, no cookie.
#[async_trait]
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Sends a request and reads the whole response, decompressed.
    ///
    /// # Errors
    /// [`TransportError`] when there is no response, or not a whole one.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

/// Why there is no response. The text names the host and never the query: a query can hold a page
/// token, and a form a secret.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} did not answer within {} s", .after.as_secs())]
    TimedOut { host: String, after: Duration },
    #[error("the connection to {host} broke: {reason}")]
    Broken { host: String, reason: String },
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read the CA file {path}: {source}")]
    CaUnreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("the CA file {path} holds no PEM certificate: {reason}")]
    CaInvalid { path: String, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The real network, over reqwest and rustls.
#[derive(Clone, Debug)]
pub struct Network {
    client: reqwest::Client,
    timeout: Duration,
}

impl Network {
    /// A client that trusts the system's roots, or the given CA alone.
    ///
    /// `timeout` bounds a whole exchange; a connection must stand within ten seconds. A proxy is
    /// taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// [`ClientError`] when the CA file cannot be used.
    pub fn new(ca_file: Option<&Path>, timeout: Duration) -> Result<Arc<Self>, ClientError> {
        Self::build(ca_file, timeout, reqwest::Client::builder())
    }

    /// As [`Network::new`], without any proxy: for what must not leave this machine.
    ///
    /// # Errors
    /// [`ClientError`] when TLS cannot be set up.
    pub fn without_proxy(timeout: Duration) -> Result<Arc<Self>, ClientError> {
        Self::build(None, timeout, reqwest::Client::builder().no_proxy())
    }

    fn build(
        ca_file: Option<&Path>,
        timeout: Duration,
        builder: reqwest::ClientBuilder,
    ) -> Result<Arc<Self>, ClientError> {
        // An error says that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = builder
            .user_agent(concat!("vector-entra-id/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca_file {
            builder = builder.tls_certs_only(certificates(path)?);
        }
        let client = builder
            .build()
            .map_err(|error| ClientError::Tls(innermost(&error)))?;
        Ok(Arc::new(Self { client, timeout }))
    }
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let name = path.display().to_string();
    let pem = std::fs::read(path).map_err(|source| ClientError::CaUnreadable {
        path: name.clone(),
        source,
    })?;
    let invalid = |reason: String| ClientError::CaInvalid {
        path: name.clone(),
        reason,
    };
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| invalid(innermost(&error)))?;
    if certificates.is_empty() {
        return Err(invalid("no BEGIN CERTIFICATE line".into()));
    }
    Ok(certificates)
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let host = host(request.uri());
        let failed = |error: reqwest::Error| {
            let host = host.clone();
            if error.is_timeout() && !error.is_connect() {
                TransportError::TimedOut {
                    host,
                    after: self.timeout,
                }
            } else if error.is_connect() {
                TransportError::Unreachable {
                    host,
                    reason: innermost(&error),
                }
            } else {
                TransportError::Broken {
                    host,
                    reason: innermost(&error),
                }
            }
        };
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(failed)?;
        let mut whole = Response::new(body);
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }
}

fn host(uri: &http::Uri) -> String {
    match (uri.host(), uri.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.into(),
        _ => "the host".into(),
    }
}

/// The innermost cause: reqwest's own text repeats the URL with its query.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
