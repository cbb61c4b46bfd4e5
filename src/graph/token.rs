//! Tokens, by azure_identity's credentials over our own transport.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret, TokenCredential},
    error::{Error as AzureError, ErrorKind},
    http::{
        AsyncRawResponse, Body, ClientOptions, HttpClient, Request as AzureRequest, RetryOptions,
        Transport as AzureTransport, headers::Headers,
    },
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Cloud, SecretError, SecretSource, Transport, TransportError};

/// Why there is no token.
///
/// Codes: Entra, "Microsoft Entra authentication and authorization error codes".
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(
        "the client secret is wrong (AADSTS7000215): give the secret's value, not its ID; \
         Entra shows the value once, when the secret is made"
    )]
    WrongSecret,
    #[error("the client secret has expired (AADSTS7000222): make a new one for app {client_id}")]
    ExpiredSecret { client_id: Uuid },
    #[error(
        "app {client_id} is unknown in this tenant (AADSTS700016): check client_id, and that the \
         app is registered in, or consented to by, this tenant in this cloud"
    )]
    UnknownApp { client_id: Uuid },
    #[error(
        "tenant {tenant_id} is unknown (AADSTS90002): check tenant_id, and that `cloud` is the \
         tenant's own"
    )]
    UnknownTenant { tenant_id: Uuid },
    #[error("the token endpoint refuses (AADSTS{code}): {description}")]
    Refused { code: u32, description: String },
    #[error("there is no client secret to use: {0}")]
    NoSecret(#[from] SecretError),
    #[error("no token yet: {0}")]
    Transient(String),
}

impl TokenError {
    /// Whether asking again as things stand is pointless, and noise in the tenant's own logs.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::WrongSecret
            | Self::ExpiredSecret { .. }
            | Self::UnknownApp { .. }
            | Self::UnknownTenant { .. }
            | Self::Refused { .. }
            | Self::NoSecret(_) => true,
            Self::Transient(_) => false,
        }
    }
}

/// Gives tokens for one app in one tenant.
pub struct Tokens {
    tenant_id: Uuid,
    client_id: Uuid,
    secret: SecretSource,
    cloud: Cloud,
    transport: Arc<dyn Transport>,
    /// The latest token, and until when it is fresh.
    held: Mutex<Option<(Secret, Instant)>>,
    /// The `Date` of the token endpoint's latest answer.
    date: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl Tokens {
    #[must_use]
    pub fn new(
        tenant_id: Uuid,
        client_id: Uuid,
        secret: SecretSource,
        cloud: Cloud,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            tenant_id,
            client_id,
            secret,
            cloud,
            transport,
            held: Mutex::default(),
            date: Arc::default(),
        }
    }

    /// The token that is held, unless it is about to expire.
    #[must_use]
    pub fn fresh(&self) -> Option<Secret> {
        let held = self.lock();
        let (token, until) = held.as_ref()?;
        (Instant::now() < *until).then(|| token.clone())
    }

    /// A token for Graph: the one that is held, else a new one.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn get(&self) -> Result<Secret, TokenError> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let scope = self.cloud.scope();
        let answer = self.credential()?.get_token(&[&scope], None).await;
        let token = answer.map_err(|error| self.read(&error))?;
        let life = token.expires_on - azure_core::time::OffsetDateTime::now_utc();
        let life = Duration::try_from(life).unwrap_or_default();
        // Renewed five minutes ahead, as azure_identity does; sooner where a token lives for less.
        let fresh = life.saturating_sub((life / 10).min(Duration::from_secs(300)));
        if token.token.secret().is_empty() || fresh.is_zero() {
            return Err(TokenError::Transient(
                "the token endpoint's answer holds no token that lasts".into(),
            ));
        }
        *self.lock() = Some((token.token.clone(), Instant::now() + fresh));
        Ok(token.token)
    }

    /// What time it was at the token endpoint when it last answered.
    #[must_use]
    pub fn date(&self) -> Option<DateTime<Utc>> {
        *self.date.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a token that Graph refuses before its time, unless it was replaced meanwhile.
    pub fn forget(&self, refused: &Secret) {
        let mut held = self.lock();
        let is_held = |(token, _): &(Secret, Instant)| token.secret() == refused.secret();
        if held.as_ref().is_some_and(is_held) {
            *held = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Secret, Instant)>> {
        // What is guarded is replaced whole, so a panic elsewhere cannot leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A credential with the secret as it is now: a rotated one is found at the next renewal.
    fn credential(&self) -> Result<Arc<dyn TokenCredential>, TokenError> {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.cloud.authority().as_str().to_owned();
        let options = ClientSecretCredentialOptions {
            client_options: ClientOptions {
                cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
                // When to ask again is the ledger's to decide.
                retry: RetryOptions::none(),
                transport: Some(AzureTransport::new(Arc::new(Adapter {
                    transport: Arc::clone(&self.transport),
                    date: Arc::clone(&self.date),
                }))),
                ..ClientOptions::default()
            },
        };
        let made = ClientSecretCredential::new(
            &self.tenant_id.to_string(),
            self.client_id.to_string(),
            self.secret.read()?,
            Some(options),
        )
        .map_err(|error| TokenError::Transient(error.to_string()))?;
        Ok(made)
    }

    /// Finds Entra's own answer within azure_identity's error.
    fn read(&self, error: &AzureError) -> TokenError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(azure) = current.downcast_ref::<AzureError>()
                && let ErrorKind::HttpResponse {
                    status,
                    error_code: Some(codes),
                    ..
                } = azure.kind()
            {
                let busy = matches!(u16::from(*status), 429 | 500..=599);
                return self.refusal(codes, &azure.to_string(), busy);
            }
            if let Some(transport) = current.downcast_ref::<TransportError>() {
                return TokenError::Transient(transport.to_string());
            }
            cause = current.source();
        }
        TokenError::Transient("the token endpoint's answer cannot be read".into())
    }

    fn refusal(&self, codes: &str, description: &str, busy: bool) -> TokenError {
        let client_id = self.client_id;
        let code = codes.split(',').next().unwrap_or(codes).parse::<u32>();
        match code {
            // Whatever its code, an endpoint in trouble is asked again.
            _ if busy => TokenError::Transient(one_line(description)),
            Ok(7_000_215) => TokenError::WrongSecret,
            Ok(7_000_222) => TokenError::ExpiredSecret { client_id },
            Ok(700_016) => TokenError::UnknownApp { client_id },
            Ok(90_002) => TokenError::UnknownTenant {
                tenant_id: self.tenant_id,
            },
            // The app is disabled; the assertion, scope or resource is wrong; conditional access.
            Ok(code @ (7_000_112 | 700_027 | 70_011 | 50_001 | 53_003)) => TokenError::Refused {
                code,
                description: one_line(description),
            },
            _ => TokenError::Transient(one_line(description)),
        }
    }
}

/// Entra's first line; trace ids and times follow on others.
fn one_line(description: &str) -> String {
    description.lines().next().unwrap_or_default().trim().into()
}

/// azure_core's client over our transport.
#[derive(Debug)]
struct Adapter {
    transport: Arc<dyn Transport>,
    date: Arc<Mutex<Option<DateTime<Utc>>>>,
}

#[async_trait]
impl HttpClient for Adapter {
    async fn execute_request(
        &self,
        request: &AzureRequest,
    ) -> azure_core::Result<AsyncRawResponse> {
        let other = |error: http::Error| AzureError::new(ErrorKind::Other, error);
        let mut builder = http::Request::builder()
            .method(request.method().as_ref())
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.clone(),
            Body::SeekableStream(_) => Bytes::new(),
        };
        let response = self
            .transport
            .send(builder.body(body).map_err(other)?)
            .await
            .map_err(|error| AzureError::new(ErrorKind::Io, error))?;
        let date = response.headers().get(http::header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = date.map(DateTime::from);
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let status = response.status().as_u16();
        Ok(AsyncRawResponse::from_bytes(
            status.into(),
            headers,
            response.into_body(),
        ))
    }
}
