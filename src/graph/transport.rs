//! HTTP as the rest of the crate sees it: one request in, one whole response out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use url::Url;

use super::{SecretError, SecretSource};

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
    #[error("cannot read the client certificate {path}: {source}")]
    IdentityUnreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("{certificate} and {key} are no client certificate with its key, both PEM: {reason}")]
    IdentityInvalid {
        certificate: String,
        key: String,
        reason: String,
    },
    #[error("the proxy's URL is none: {0}")]
    ProxyUrl(String),
    #[error("there is no password for the proxy: {0}")]
    ProxyPassword(#[from] SecretError),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// How a host is reached: whom to trust, what to show, which way to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// PEM file of CAs.
    pub ca_file: Option<PathBuf>,
    /// Whether the system's own roots are trusted as well as those of `ca_file`.
    pub system_roots_too: bool,
    pub client_certificate: Option<ClientCertificate>,
    pub proxy: Proxy,
}

/// PEM files of a certificate and its key, to show to a server that asks for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// Through which proxy, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// The one that `HTTPS_PROXY` names, but for the hosts of `NO_PROXY`.
    #[default]
    OfEnvironment,
    Direct,
    Named {
        url: Url,
        /// User and password, if it asks for them.
        auth: Option<(String, SecretSource)>,
    },
}

/// The real network, over reqwest and rustls.
#[derive(Clone, Debug)]
pub struct Network {
    client: reqwest::Client,
    timeout: Duration,
}

impl Network {
    /// A client over `route`; `timeout` bounds a whole exchange, and a connection must stand within
    /// ten seconds.
    ///
    /// # Errors
    /// [`ClientError`] when a file of the route cannot be used.
    pub fn new(route: &Route, timeout: Duration) -> Result<Arc<Self>, ClientError> {
        // An error says that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("vector-entra-id/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &route.ca_file {
            let certificates = certificates(path)?;
            builder = if route.system_roots_too {
                builder.tls_certs_merge(certificates)
            } else {
                builder.tls_certs_only(certificates)
            };
        }
        if let Some(certificate) = &route.client_certificate {
            builder = builder.identity(certificate.read()?);
        }
        builder = match &route.proxy {
            Proxy::OfEnvironment => builder,
            Proxy::Direct => builder.no_proxy(),
            Proxy::Named { url, auth } => {
                let proxy = reqwest::Proxy::all(url.clone())
                    .map_err(|error| ClientError::ProxyUrl(innermost(&error)))?;
                builder.proxy(match auth {
                    Some((user, password)) => proxy.basic_auth(user, password.read()?.secret()),
                    None => proxy,
                })
            }
        };
        let client = builder
            .build()
            .map_err(|error| ClientError::Tls(innermost(&error)))?;
        Ok(Arc::new(Self { client, timeout }))
    }
}

impl Route {
    /// Whether what it names is there and can be used.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn check(&self) -> Result<(), ClientError> {
        Network::new(self, Duration::from_secs(1)).map(drop)
    }
}

impl ClientCertificate {
    /// # Errors
    /// [`ClientError`], naming the files.
    fn read(&self) -> Result<reqwest::Identity, ClientError> {
        let mut pem = Vec::new();
        for path in [&self.cert_file, &self.key_file] {
            let text = std::fs::read(path).map_err(|source| ClientError::IdentityUnreadable {
                path: path.display().to_string(),
                source,
            })?;
            pem.extend(text);
            pem.push(b'\n');
        }
        reqwest::Identity::from_pem(&pem).map_err(|error| ClientError::IdentityInvalid {
            certificate: self.cert_file.display().to_string(),
            key: self.key_file.display().to_string(),
            reason: innermost(&error),
        })
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
