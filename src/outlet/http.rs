//! Delivery to Vector's `http_server` source: one POST of NDJSON for each batch.
//!
//! With acknowledgements on at the sinks, the reply comes after they have the batch.

use std::{io::Write, sync::Arc};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http::{HeaderValue, Request, header};

use super::{Outlet, OutletError};
use crate::{
    config::{BasicAuth, Compression, Http},
    graph::{Transport, TransportError},
    record::{Batch, Hash},
};

/// An outlet to one `http_server` source.
pub struct HttpOutlet {
    config: Http,
    transport: Arc<dyn Transport>,
}

impl HttpOutlet {
    /// `transport` gives up after the configured reply time-out by itself.
    #[must_use]
    pub fn new(config: Http, transport: Arc<dyn Transport>) -> Self {
        Self { config, transport }
    }

    /// Sends a batch of nothing: path, method and authentication are tried, and no event arrives.
    ///
    /// # Errors
    /// [`OutletError`], as for any batch.
    pub async fn knock(&self) -> Result<(), OutletError> {
        let request = self
            .begin()?
            .body(Bytes::new())
            .map_err(|error| OutletError::Unknown(error.to_string()))?;
        self.send(request).await
    }

    fn begin(&self) -> Result<http::request::Builder, OutletError> {
        let request = Request::post(self.config.url.as_str())
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        match &self.config.auth {
            Some(auth) => Ok(request.header(header::AUTHORIZATION, basic(auth)?)),
            None => Ok(request),
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<(), OutletError> {
        let reply = self
            .transport
            .send(request)
            .await
            .map_err(|error| match error {
                TransportError::Unreachable { .. } => OutletError::Unreachable(error.to_string()),
                _ => OutletError::Unknown(error.to_string()),
            })?;
        // `response_code` of the source may be any success; 200 is its default.
        if reply.status().is_success() {
            return Ok(());
        }
        Err(OutletError::read(reply.status().as_u16(), reply.body()))
    }

    fn request(&self, batch: &Batch) -> Result<Request<Bytes>, OutletError> {
        let body = batch.body();
        let mut request = self
            .begin()?
            // For `headers:` of the source: a pipeline's own logs can then name the batch.
            .header("x-entra-id-tenant", batch.origin.tenant.to_string())
            .header("x-entra-id-stream", batch.origin.stream.name())
            .header("x-entra-id-batch", Hash::of(&body).hex());
        let body = match self.config.compression {
            Compression::None => body,
            Compression::Gzip => {
                request = request.header(header::CONTENT_ENCODING, "gzip");
                gzip(&body).map_err(|error| OutletError::Unknown(error.to_string()))?
            }
        };
        request
            .body(body.into())
            .map_err(|error| OutletError::Unknown(error.to_string()))
    }
}

/// The header's value (RFC 7617); a rotated password is found, since it is read each time.
fn basic(auth: &BasicAuth) -> Result<HeaderValue, OutletError> {
    let password = auth.password.read().map_err(OutletError::NoPassword)?;
    let text = STANDARD.encode(format!("{}:{}", auth.user, password.secret()));
    let mut value = HeaderValue::try_from(format!("Basic {text}"))
        .map_err(|error| OutletError::Unknown(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Level::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[async_trait]
impl Outlet for HttpOutlet {
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        self.send(self.request(batch)?).await
    }
}
