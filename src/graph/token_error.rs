//! Why there is no token, told apart by what to do about it.
//!
//! Codes: Entra, "Microsoft Entra authentication and authorization error codes"; those of workload
//! identity federation and 7000229 from Microsoft's troubleshooting pages for them.

use azure_core::error::{Error as AzureError, ErrorKind};
use uuid::Uuid;

use super::{Cloud, Credential, CredentialError, Proof, TransportError};

/// Why there is no token.
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
        "Entra does not take the certificate (AADSTS{code}): upload its public part to app \
         {client_id}, and check that it has not expired"
    )]
    WrongCertificate { code: u32, client_id: Uuid },
    #[error(
        "app {client_id} trusts no such federated token (AADSTS{code}): issuer, subject and \
         audience of its federated credential must be the token's own: {description}"
    )]
    NotFederated {
        code: u32,
        client_id: Uuid,
        description: String,
    },
    #[error(
        "app {client_id} is unknown in this tenant (AADSTS700016): check client_id, and that the \
         app is registered in, or consented to by, this tenant in this cloud; an administrator \
         consents at {consent}"
    )]
    UnknownApp { client_id: Uuid, consent: String },
    #[error(
        "app {client_id} is not set up in this tenant (AADSTS7000229): an administrator consents \
         at {consent}"
    )]
    NoPrincipal { client_id: Uuid, consent: String },
    #[error(
        "app {client_id} is disabled in this tenant (AADSTS7000112): enable it under Enterprise \
         applications, Properties"
    )]
    DisabledApp { client_id: Uuid },
    #[error(
        "tenant {tenant_id} is unknown (AADSTS90002): check tenant_id, and that `cloud` is the \
         tenant's own"
    )]
    UnknownTenant { tenant_id: Uuid },
    #[error(
        "conditional access keeps the app out (AADSTS53003): exclude it from the policy for \
         workload identities, or allow this machine's address"
    )]
    ConditionalAccess,
    #[error(
        "this machine has no such managed identity: assign one to it, and leave client_id out \
         unless it is a user-assigned identity's own"
    )]
    NoIdentity,
    #[error("the token endpoint refuses (AADSTS{code}): {description}")]
    Refused { code: u32, description: String },
    #[error("there is nothing to ask for a token with: {0}")]
    NoCredential(#[from] CredentialError),
    #[error("no token yet: {0}")]
    Transient(String),
}

impl TokenError {
    /// Whether asking again as things stand is pointless, and noise in the tenant's own logs.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        // A file that was good at the start is missing while it is being replaced.
        !matches!(self, Self::NoCredential(_) | Self::Transient(_))
    }
}

/// Who asked: what the texts name.
pub(super) struct Asker<'a> {
    pub tenant_id: Uuid,
    pub credential: &'a Credential,
    pub cloud: &'a Cloud,
}

impl Asker<'_> {
    /// Finds Entra's own answer within azure_identity's error.
    pub fn read(&self, error: &AzureError) -> TokenError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(azure) = current.downcast_ref::<AzureError>()
                && let ErrorKind::HttpResponse {
                    status, error_code, ..
                } = azure.kind()
            {
                let status = u16::from(*status);
                let busy = matches!(status, 429 | 500..=599);
                let text = one_line(&azure.to_string());
                return match (error_code, self.credential) {
                    (Some(codes), _) => self.refusal(codes, &text, busy),
                    (None, Credential::ManagedIdentity { .. }) if status == 400 => {
                        TokenError::NoIdentity
                    }
                    (None, Credential::ManagedIdentity { .. }) => TokenError::Transient(format!(
                        "the machine's identity endpoint answers {status}: {text}"
                    )),
                    (None, Credential::App { .. }) => TokenError::Transient(format!(
                        "the token endpoint answers {status}, and not as Entra does; is there a \
                         proxy on the way?"
                    )),
                };
            }
            if let Some(transport) = current.downcast_ref::<TransportError>() {
                return TokenError::Transient(self.unreachable(transport));
            }
            cause = current.source();
        }
        TokenError::Transient("the token endpoint's answer cannot be read".into())
    }

    fn unreachable(&self, error: &TransportError) -> String {
        match self.credential {
            Credential::ManagedIdentity { .. } => {
                format!("{error}; a managed identity is there on Azure's own machines only")
            }
            Credential::App { .. } => error.to_string(),
        }
    }

    fn refusal(&self, codes: &str, description: &str, busy: bool) -> TokenError {
        let code = codes.split(',').next().unwrap_or(codes).parse::<u32>();
        let description = || one_line(description);
        let client_id = self.credential.client_id().unwrap_or_default();
        let consent = || {
            self.cloud
                .consent_url(self.tenant_id, client_id)
                .to_string()
        };
        match code {
            // Whatever its code, an endpoint in trouble is asked again.
            _ if busy => TokenError::Transient(description()),
            Ok(7_000_215) => TokenError::WrongSecret,
            Ok(7_000_222) => TokenError::ExpiredSecret { client_id },
            Ok(700_016) => TokenError::UnknownApp {
                client_id,
                consent: consent(),
            },
            Ok(7_000_229) => TokenError::NoPrincipal {
                client_id,
                consent: consent(),
            },
            Ok(7_000_112) => TokenError::DisabledApp { client_id },
            // Not found; and no domain, for those who know what a tenant's GUID could be.
            Ok(90_002 | 900_023) => TokenError::UnknownTenant {
                tenant_id: self.tenant_id,
            },
            Ok(code @ (700_027 | 700_030)) if self.proves_by_certificate() => {
                TokenError::WrongCertificate { code, client_id }
            }
            Ok(code @ (70_021 | 700_211..=700_213)) => TokenError::NotFederated {
                code,
                client_id,
                description: description(),
            },
            Ok(53_003) => TokenError::ConditionalAccess,
            // The assertion, scope or resource is wrong; no proof was given.
            Ok(code @ (700_027 | 70_011 | 50_001 | 7_000_218)) => TokenError::Refused {
                code,
                description: description(),
            },
            _ => TokenError::Transient(description()),
        }
    }

    fn proves_by_certificate(&self) -> bool {
        matches!(
            self.credential,
            Credential::App {
                proof: Proof::Certificate(_),
                ..
            }
        )
    }
}

/// Entra's first line; trace ids and times follow on others.
fn one_line(description: &str) -> String {
    description.lines().next().unwrap_or_default().trim().into()
}
