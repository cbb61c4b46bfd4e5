//! Checks how a tenant's app proves itself: one of four ways, and that what it names is there.

use chrono::NaiveDate;

use super::{Faults, document, load::required, tenants::guid};
use crate::graph::{CertificateSource, Credential, CredentialError, Proof, SecretSource};

/// The environment variable in which Kubernetes' workload identity webhook names the token's file.
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

const WAYS: [&str; 4] = [
    "client_secret",
    "certificate",
    "workload_identity",
    "managed_identity",
];

/// Checks the one way that a tenant names.
pub(super) fn check(
    tenant: &mut document::Tenant,
    place: &str,
    faults: &mut Faults,
) -> Option<Credential> {
    let at = |key: &str| format!("{place}.{key}");
    let named = [
        tenant.client_secret.is_some(),
        tenant.certificate.is_some(),
        tenant.workload_identity.is_some(),
        tenant.managed_identity.is_some(),
    ];
    let named: Vec<&str> = WAYS
        .into_iter()
        .zip(named)
        .filter_map(|(way, named)| named.then_some(way))
        .collect();
    if let [first, others @ ..] = &named[..]
        && !others.is_empty()
    {
        let others = others.join(" and ");
        faults.add(
            at(first),
            format!("stands beside {others}; keep one of them"),
        );
    }
    let client_id = tenant.client_id.take();
    if tenant.managed_identity.is_some() {
        let client_id = match client_id {
            Some(text) => Some(guid(&text, &at("client_id"), faults)?),
            None => None,
        };
        return Some(Credential::ManagedIdentity { client_id });
    }
    let client_id = required(
        client_id,
        &at("client_id"),
        "give the app registration's application (client) ID",
        faults,
    )
    .and_then(|text| guid(&text, &at("client_id"), faults));
    let proof = match named.first().copied() {
        Some("client_secret") => client_secret(tenant.client_secret.take()?, &at(WAYS[0]), faults),
        Some("certificate") => certificate(tenant.certificate.take()?, &at(WAYS[1]), faults),
        Some("workload_identity") => {
            workload_identity(tenant.workload_identity.take()?, &at(WAYS[2]), faults)
        }
        _ => {
            if !WAYS.iter().any(|way| faults.within(&at(way))) {
                faults.add(
                    at("client_secret"),
                    "is missing; name where the secret is: `env: NAME` or `file: PATH`; or set \
                     certificate, workload_identity or managed_identity instead",
                );
            }
            None
        }
    };
    let proof = proof?;
    if let Err(error) = proof.check() {
        let place = at(key_of(&proof, &error));
        if !faults.within(&place) {
            faults.add(place, error);
        }
        return None;
    }
    Some(Credential::App {
        client_id: client_id?,
        proof,
    })
}

fn client_secret(
    secret: document::ClientSecret,
    place: &str,
    faults: &mut Faults,
) -> Option<Proof> {
    let expires = match &secret.expires {
        None => None,
        Some(text) => match text.parse::<NaiveDate>() {
            Ok(date) => Some(date),
            Err(_) => {
                faults.add(
                    format!("{place}.expires"),
                    format!("{text:?} is no date; write it as 2027-05-01"),
                );
                None
            }
        },
    };
    let source = SecretSource {
        env: secret.env,
        file: secret.file,
    };
    Some(Proof::Secret { source, expires })
}

fn certificate(
    certificate: document::Certificate,
    place: &str,
    faults: &mut Faults,
) -> Option<Proof> {
    let file = required(
        certificate.file,
        &format!("{place}.file"),
        "name the certificate's file: PEM, or PFX if its name ends in .pfx or .p12",
        faults,
    )?;
    Some(Proof::Certificate(CertificateSource {
        file,
        key_file: certificate.key_file,
        password: certificate.password,
    }))
}

fn workload_identity(
    identity: document::WorkloadIdentity,
    place: &str,
    faults: &mut Faults,
) -> Option<Proof> {
    let token_file = identity
        .token_file
        .or_else(|| std::env::var_os(FEDERATED_TOKEN_FILE).map(Into::into));
    let remedy = format!("name the federated token's file; {FEDERATED_TOKEN_FILE} is not set");
    let token_file = required(token_file, &format!("{place}.token_file"), &remedy, faults)?;
    Some(Proof::Federated { token_file })
}

/// Which option is at fault: a certificate has several.
fn key_of(proof: &Proof, error: &CredentialError) -> &'static str {
    use crate::graph::CertificateError as Error;
    match (proof, error) {
        (Proof::Secret { .. }, _) => "client_secret",
        (Proof::Federated { .. }, _) => "workload_identity.token_file",
        (Proof::Certificate(_), CredentialError::Certificate(Error::Password(_))) => {
            "certificate.password"
        }
        (Proof::Certificate(_), _) => "certificate",
    }
}
