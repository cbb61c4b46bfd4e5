//! The ways in which an app proves itself, against the emulated tenant's token endpoint, and what
//! an operator is told when what it shows cannot be used.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use uuid::Uuid;
use vector_entra_id::graph::{
    CertificateSource, Cloud, Credential, Network, Proof, Route, SecretSource, TokenError, Tokens,
    Transport, TransportError,
};

use crate::common::{Emulated, app};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/certificates")
        .join(name)
}

fn certificate(name: &str, key: Option<&str>) -> CertificateSource {
    CertificateSource {
        file: file(name),
        key_file: key.map(file),
        password: None,
    }
}

/// A PFX file, whose password is in another.
fn pfx(emulated: &Emulated, name: &str) -> CertificateSource {
    let password = emulated.path("password");
    std::fs::write(&password, "passphrase\n").unwrap();
    CertificateSource {
        password: Some(SecretSource {
            env: None,
            file: Some(password),
        }),
        ..certificate(name, None)
    }
}

fn app_with(proof: Proof) -> Credential {
    Credential::App {
        client_id: app().client_id,
        proof,
    }
}

fn tokens(emulated: &Emulated, credential: Credential) -> Tokens {
    let url = &emulated.server.url;
    let ca = emulated.path("ca.pem");
    let route = Route {
        ca_file: Some(ca.clone()),
        ..Route::default()
    };
    let network = Network::new(&route, Duration::from_secs(10)).unwrap();
    let cloud = Cloud::custom(url.clone(), url.clone(), Some(ca));
    Tokens::new(app().tenant_id, credential, cloud, network)
}

/// The emulated tenant knows the certificate of the tests.
async fn knows_the_certificate() -> Emulated {
    let emulated = Emulated::start(20, 1).await;
    let pem = std::fs::read(file("certificate.pem")).unwrap();
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    emulated.server.service().app.certificate = Some(der.to_vec());
    emulated
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_the_app_in_from_pem_and_from_pfx() {
    let emulated = knows_the_certificate().await;
    for source in [
        certificate("both.pem", None),
        certificate("certificate.pem", Some("key.pem")),
        certificate("certificate.pem", Some("key-pkcs1.pem")),
        pfx(&emulated, "modern.pfx"),
        pfx(&emulated, "legacy.pfx"),
    ] {
        let shown = format!("{source:?}");
        let tokens = tokens(&emulated, app_with(Proof::Certificate(source)));
        let token = tokens.get().await;
        assert!(token.is_ok(), "{shown}: {}", token.unwrap_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_entra_does_not_know_is_told_with_what_to_do() {
    let emulated = Emulated::start(20, 1).await;
    let source = certificate("both.pem", None);
    let tokens = tokens(&emulated, app_with(Proof::Certificate(source)));
    let error = tokens.get().await.unwrap_err();
    assert!(error.is_permanent());
    assert!(
        error.to_string().contains("upload its public part"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_by_its_file() {
    for (name, key, says) in [
        ("missing.pem", None, "missing.pem: No such file"),
        (
            "certificate.pem",
            None,
            "certificate.pem holds no private key",
        ),
        ("key.pem", None, "key.pem holds no certificate"),
        (
            "certificate.pem",
            Some("key-encrypted.pem"),
            "key-encrypted.pem is encrypted",
        ),
        (
            "certificate.pem",
            Some("other-key.pem"),
            "other-key.pem is not that of the certificate",
        ),
        (
            "certificate.pem",
            Some("ec-key.pem"),
            "ec-key.pem is no RSA key",
        ),
        ("modern.pfx", None, "modern.pfx cannot be opened as PFX"),
    ] {
        let error = certificate(name, key).read().unwrap_err().to_string();
        assert!(error.contains(says), "{says} is not in {error}");
    }
}

#[test]
fn a_certificate_tells_when_it_expires() {
    let credential = app_with(Proof::Certificate(certificate("both.pem", None)));
    let expires = credential.expires().unwrap();
    assert_eq!(expires.to_rfc3339(), "2126-11-05T16:28:20+00:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_token_is_read_anew_for_each_request() {
    let emulated = Emulated::start(20, 1).await;
    let token_file = emulated.path("federated");
    std::fs::write(&token_file, "first\n").unwrap();
    emulated.server.service().app.federated_token = Some("second".into());
    let tokens = tokens(
        &emulated,
        app_with(Proof::Federated {
            token_file: token_file.clone(),
        }),
    );
    assert!(tokens.get().await.is_err());
    std::fs::write(&token_file, "second\n").unwrap();
    tokens.get().await.unwrap();
    std::fs::remove_file(&token_file).unwrap();
    let held = tokens.fresh().unwrap();
    tokens.forget(&held);
    let error = tokens.get().await.unwrap_err();
    assert!(!error.is_permanent(), "{error}");
    assert!(error.to_string().contains("federated"), "{error}");
}

/// Azure's identity endpoint on a virtual machine, as one answer.
#[derive(Debug)]
struct IdentityEndpoint {
    status: u16,
    body: String,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for IdentityEndpoint {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let metadata = request.headers().get("metadata").cloned();
        let asked = format!("{} metadata: {metadata:?}", request.uri());
        self.asked.lock().unwrap().push(asked);
        let mut response = Response::new(Bytes::from(self.body.clone()));
        *response.status_mut() = self.status.try_into().unwrap();
        Ok(response)
    }
}

async fn on_a_machine(
    status: u16,
    body: serde_json::Value,
    client_id: Option<Uuid>,
) -> (Result<String, TokenError>, String) {
    let endpoint = Arc::new(IdentityEndpoint {
        status,
        body: body.to_string(),
        asked: Mutex::default(),
    });
    let tokens = Tokens::new(
        app().tenant_id,
        Credential::ManagedIdentity { client_id },
        Cloud::national("us_gov_l4").unwrap(),
        Arc::clone(&endpoint) as _,
    );
    let token = tokens.get().await;
    let asked = endpoint.asked.lock().unwrap().join("\n");
    (token.map(|token| token.secret().to_owned()), asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_identity_asks_its_own_machine_for_its_cloud_s_graph() {
    // Its numbers are texts (Entra, "How to use managed identities on an Azure VM").
    let body = json!({
        "access_token": "of-the-machine", "expires_in": "3599", "expires_on": "4102444800",
        "resource": "https://graph.microsoft.us", "token_type": "Bearer",
    });
    let id = Uuid::from_u128(7);
    let (token, asked) = on_a_machine(200, body, Some(id)).await;
    assert_eq!(token.unwrap(), "of-the-machine");
    for part in [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "resource=https%3A%2F%2Fgraph.microsoft.us",
        &format!("client_id={id}"),
        "metadata: Some(\"true\")",
    ] {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_the_identity_is_told_so() {
    let body = json!({"error": "invalid_request", "error_description": "Identity not found"});
    let (token, _) = on_a_machine(400, body, None).await;
    let error = token.unwrap_err();
    assert!(error.is_permanent());
    assert!(
        error.to_string().contains("no such managed identity"),
        "{error}"
    );
}
