//! The token endpoint, and the bearer tokens that it gave out.

use std::collections::{BTreeSet, HashMap};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Response, header};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::{
    answers::{respond, token_error},
    assertion,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The app that may ask, and what it was granted.
#[derive(Clone, Debug)]
pub struct App {
    pub tenant_id: Uuid,
    pub client_id: Uuid,
    pub secret: String,
    /// The DER of the certificate that it may prove itself with instead.
    pub certificate: Option<Vec<u8>>,
    /// The other issuer's token that it may show instead.
    pub federated_token: Option<String>,
    /// Application permissions with admin consent.
    pub permissions: BTreeSet<String>,
    /// Whether the tenant has the licences that its streams need.
    pub premium: bool,
}

/// The bearer tokens that are known.
#[derive(Debug)]
pub struct Tokens {
    /// How long a bearer token lasts.
    pub life: TimeDelta,
    scope: String,
    bearers: HashMap<String, DateTime<Utc>>,
    issued: u64,
}

impl Tokens {
    /// Tokens for the Graph at this URL.
    #[must_use]
    pub fn new(graph: &Url) -> Self {
        Self {
            life: TimeDelta::seconds(3599),
            scope: format!("{}/.default", graph.as_str().trim_end_matches('/')),
            bearers: HashMap::new(),
            issued: 0,
        }
    }

    /// Answers a token request: a form of the client credentials grant.
    pub fn issue(
        &mut self,
        app: &App,
        tenant: &str,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Response<Bytes> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if tenant != app.tenant_id.to_string() {
            let text = format!("AADSTS90002: Tenant '{tenant}' not found.");
            return token_error(400, "invalid_request", 90_002, &text, now);
        }
        if field("client_id") != app.client_id.to_string() {
            let text = format!(
                "AADSTS700016: Application with identifier '{}' was not found in the directory.",
                field("client_id")
            );
            return token_error(400, "unauthorized_client", 700_016, &text, now);
        }
        let assertion = field("client_assertion");
        if !assertion.is_empty() {
            let is_known = app.federated_token.as_deref() == Some(assertion);
            if field("client_assertion_type") != ASSERTION_TYPE
                || !(is_known || assertion::is_signed(app, assertion, tenant, now))
            {
                let text = "AADSTS700027: The certificate with identifier used to sign the client \
                            assertion is not registered on application.";
                return token_error(401, "invalid_client", 700_027, text, now);
            }
        } else if field("client_secret") != app.secret {
            let text = "AADSTS7000215: Invalid client secret provided. Ensure the secret being \
                        sent in the request is the client secret value, not the client secret ID.";
            return token_error(401, "invalid_client", 7_000_215, text, now);
        }
        if field("grant_type") != "client_credentials" || field("scope") != self.scope {
            let text =
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid.";
            return token_error(400, "invalid_scope", 70_011, text, now);
        }
        self.issued += 1;
        let claims = json!({
            "aud": self.scope.trim_end_matches("/.default"), "appid": app.client_id, "tid": app.tenant_id,
            "roles": app.permissions, "jti": self.issued,
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"typ": "JWT", "alg": "none"});
        let bearer = format!("{}.{}.emulated", part(header), part(claims));
        self.bearers.retain(|_, until| *until > now);
        self.bearers.insert(bearer.clone(), now + self.life);
        let body = json!({
            "token_type": "Bearer", "expires_in": self.life.num_seconds(),
            "ext_expires_in": self.life.num_seconds(), "access_token": bearer,
        });
        respond(200, "application/json", body.to_string())
    }

    /// Whether a request carries a bearer token that is known and not too old.
    #[must_use]
    pub fn accepts(&self, headers: &HeaderMap, now: DateTime<Utc>) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|bearer| self.bearers.get(bearer))
            .is_some_and(|until| *until > now)
    }
}
