//! The TLS server around the service, with a CA of its own.

use std::{
    convert::Infallible,
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use chrono::Utc;
use flate2::{Compression, write::GzEncoder};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::Service;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("no certificate can be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A running emulator; it stops when dropped.
pub struct Server {
    /// Authority and Graph are both here.
    pub url: Url,
    /// The CA that its certificate comes from.
    pub ca_pem: String,
    service: Arc<Mutex<Service>>,
    _stop: watch::Sender<bool>,
}

impl Server {
    /// Listens on `address` (port 0 for any free one) and serves what `service` makes for the
    /// server's URL.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(
        address: SocketAddr,
        service: impl FnOnce(Url) -> Service,
    ) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (ca_pem, tls) = tls(address)?;
        let url = url_of(address)?;
        let service = Arc::new(Mutex::new(service(url.clone())));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(accept(listener, tls, Arc::clone(&service), stopped));
        Ok(Self {
            url,
            ca_pem,
            service,
            _stop: stop,
        })
    }

    /// The service, to change or to look into.
    pub fn service(&self) -> MutexGuard<'_, Service> {
        lock(&self.service)
    }
}

fn lock(service: &Mutex<Service>) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

fn url_of(address: SocketAddr) -> Result<Url, ServerError> {
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        ip => ip.to_string(),
    };
    Url::parse(&format!("https://{host}:{}/", address.port())).map_err(|error| {
        ServerError::Listen {
            address,
            source: std::io::Error::other(error),
        }
    })
}

/// A CA made for this run alone, and TLS with a certificate of it.
fn tls(address: SocketAddr) -> Result<(String, TlsAcceptor), ServerError> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name
        .push(DnType::CommonName, "emulated tenant's CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), address.ip().to_string()];
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "emulated tenant");
    let certificate = server.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((ca_pem, TlsAcceptor::from(Arc::new(config))))
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    service: Arc<Mutex<Service>>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        // A connection that fails is its client's trouble.
        let Ok((connection, _)) = accepted else {
            continue;
        };
        let tls = tls.clone();
        let service = Arc::clone(&service);
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let Ok(connection) = tls.accept(connection).await else {
                return;
            };
            let answer = service_fn(move |request| answer(Arc::clone(&service), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(connection), answer);
            tokio::select! {
                _ = connection => {}
                _ = stopped.changed() => {}
            }
        });
    }
}

async fn answer(
    service: Arc<Mutex<Service>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let request = Request::from_parts(parts, body);
    let reply = lock(&service).handle(&request, Utc::now());
    tokio::time::sleep(reply.delay).await;
    let (mut parts, body) = reply.response.into_parts();
    let body = match compressed(&body) {
        Some(compressed) if gzip => {
            let value = header::HeaderValue::from_static("gzip");
            parts.headers.insert(header::CONTENT_ENCODING, value);
            compressed
        }
        _ => body,
    };
    Ok(Response::from_parts(parts, Full::new(body)))
}

fn compressed(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.into())
}
