//! azure_identity's credentials, over our own transport.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret, TokenCredential},
    error::{Error as AzureError, ErrorKind},
    http::{
        AsyncRawResponse, Body, ClientMethodOptions, ClientOptions, HttpClient,
        Request as AzureRequest, RetryOptions, Transport as AzureTransport, headers::Headers,
    },
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Cloud, Credential, CredentialError, Proof, Transport, credential::federated_token,
    token_error::TokenError,
};

/// What the token endpoint's answers say of the time.
#[derive(Debug, Default)]
pub(super) struct EndpointClock(Mutex<Option<Heard>>);

/// The latest answer's `Date`, and how far the local clock is behind it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    date: DateTime<Utc>,
    behind: TimeDelta,
}

impl EndpointClock {
    /// The `Date` of the latest answer.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        Some((*self.lock())?.date)
    }

    /// What time it is at the endpoint, as far as is known: an assertion is dated by it, so that
    /// a wrong clock here costs one refusal and no more.
    fn now(&self) -> DateTime<Utc> {
        let behind = self.lock().map(|heard| heard.behind);
        Utc::now() + behind.unwrap_or_default()
    }

    fn hear(&self, date: Option<DateTime<Utc>>) {
        *self.lock() = date.map(|date| Heard {
            date,
            behind: date - Utc::now(),
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Heard>> {
        // What is guarded is replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A credential that shows what its files hold now: what was rotated is found at the next renewal.
pub(super) fn credential(
    tenant_id: Uuid,
    credential: &Credential,
    cloud: &Cloud,
    transport: &Arc<dyn Transport>,
    clock: &Arc<EndpointClock>,
) -> Result<Arc<dyn TokenCredential>, TokenError> {
    let client_options = client_options(cloud, transport, clock);
    let made: azure_core::Result<Arc<dyn TokenCredential>> = match credential {
        Credential::ManagedIdentity { client_id } => {
            let id = client_id.map(|id| UserAssignedId::ClientId(id.to_string()));
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: id,
                client_options,
            }))
            .map(|made| made as _)
        }
        Credential::App { client_id, proof } => {
            let tenant = tenant_id.to_string();
            let assertion = match proof {
                Proof::Secret { source, .. } => {
                    let secret = source.read().map_err(CredentialError::from)?;
                    let options = ClientSecretCredentialOptions { client_options };
                    return ClientSecretCredential::new(
                        &tenant,
                        client_id.to_string(),
                        secret,
                        Some(options),
                    )
                    .map(|made| made as _)
                    .map_err(|error| TokenError::Transient(error.to_string()));
                }
                Proof::Certificate(source) => {
                    let audience = format!(
                        "{}/{tenant}/oauth2/v2.0/token",
                        cloud.authority().as_str().trim_end_matches('/')
                    );
                    let certificate = source.read().map_err(CredentialError::from)?;
                    certificate
                        .assertion(*client_id, &audience, clock.now())
                        .map_err(CredentialError::from)?
                }
                Proof::Federated { token_file } => federated_token(token_file)?,
            };
            ClientAssertionCredential::new(
                tenant,
                client_id.to_string(),
                Assertion(assertion),
                Some(ClientAssertionCredentialOptions { client_options }),
            )
            .map(|made| made as _)
        }
    };
    made.map_err(|error| TokenError::Transient(error.to_string()))
}

fn client_options(
    cloud: &Cloud,
    transport: &Arc<dyn Transport>,
    clock: &Arc<EndpointClock>,
) -> ClientOptions {
    let mut custom = CustomConfiguration::default();
    custom.authority_host = cloud.authority().as_str().to_owned();
    ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
        // When to ask again is the ledger's to decide.
        retry: RetryOptions::none(),
        transport: Some(AzureTransport::new(Arc::new(Adapter {
            transport: Arc::clone(transport),
            clock: Arc::clone(clock),
        }))),
        ..ClientOptions::default()
    }
}

/// An assertion that was made for this one request.
#[derive(Debug)]
struct Assertion(Secret);

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.secret().to_owned())
    }
}

/// azure_core's client over our transport.
#[derive(Debug)]
struct Adapter {
    transport: Arc<dyn Transport>,
    clock: Arc<EndpointClock>,
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
        self.clock.hear(date.map(DateTime::from));
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
