//! The ways there: through a proxy to the tenant, over TLS with a certificate and a password to the
//! pipeline.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::common::{Emulated, Pipeline, Process, until};

/// A proxy that tunnels, and the head of each request that asked it to.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let mut connection = BufReader::new(connection);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if connection.read_line(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                heads.lock().unwrap().push(head.clone());
                let target = head.split(' ').nth(1).unwrap().to_owned();
                let mut peer = TcpStream::connect(target).await.unwrap();
                let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
                connection.write_all(established).await.unwrap();
                let _ = copy_bidirectional(&mut connection, &mut peer).await;
            });
        }
    });
    (url, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn token_and_pages_come_through_the_proxy_that_is_configured() {
    let emulated = Emulated::start(20, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let (url, asked) = proxy().await;
    let password = emulated.path("proxy-password");
    fs::write(&password, "p4ss\n").unwrap();
    let mut config = emulated.config(pipeline.outlet());
    config["network"] =
        json!({"proxy": {"url": url, "user": "collector", "password": {"file": password}}});
    let process = Process::run(&emulated.write_config(&config));
    until("records come", || !pipeline.acked().is_empty()).await;
    process.stop();
    let asked = asked.lock().unwrap();
    let credentials = STANDARD.encode("collector:p4ss");
    for head in asked.iter() {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("connect localhost:"), "{head}");
        let expected = format!(
            "proxy-authorization: basic {}",
            credentials.to_ascii_lowercase()
        );
        assert!(head.contains(&expected), "{head}");
    }
    assert!(!asked.is_empty());
}

/// A CA, a certificate of it for a server on loopback, and one to show to that server.
struct Pki {
    ca_pem: String,
    server: TlsAcceptor,
    client_pem: String,
    client_key_pem: String,
}

fn pki() -> Pki {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "private CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (certificate.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = signed("127.0.0.1");
    let (client, client_key) = signed("collector");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(ca_certificate.der().to_vec()))
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap();
    Pki {
        ca_pem: ca_certificate.pem(),
        server: TlsAcceptor::from(Arc::new(config)),
        client_pem: client.pem(),
        client_key_pem: client_key.serialize_pem(),
    }
}

/// TLS in front of a pipeline, for those who show a certificate.
async fn tls_before(pipeline: &Pipeline, server: TlsAcceptor) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let behind = pipeline
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (server, behind) = (server.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut connection) = server.accept(connection).await else {
                    return;
                };
                let mut peer = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut connection, &mut peer).await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_go_over_tls_with_a_client_certificate_and_a_password() {
    let emulated = Emulated::start(20, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let pki = pki();
    let url = tls_before(&pipeline, pki.server).await;
    for (name, text) in [
        ("vector-ca.pem", &pki.ca_pem),
        ("client.pem", &pki.client_pem),
        ("client-key.pem", &pki.client_key_pem),
        ("password", &"open~sesame\n".to_owned()),
    ] {
        fs::write(emulated.path(name), text).unwrap();
    }
    let outlet = |client: bool| -> Value {
        let mut tls = json!({"ca_file": emulated.path("vector-ca.pem")});
        if client {
            tls["cert_file"] = json!(emulated.path("client.pem"));
            tls["key_file"] = json!(emulated.path("client-key.pem"));
        }
        let auth = json!({"user": "entra", "password": {"file": emulated.path("password")}});
        json!({"http": {"url": url, "auth": auth, "tls": tls}})
    };
    let process = Process::run(&emulated.write_config(&emulated.config(outlet(false))));
    until("the refusal is told", || {
        process.errors().contains("ertificate")
    })
    .await;
    process.stop();
    assert!(pipeline.batches().is_empty());
    let process = Process::run(&emulated.write_config(&emulated.config(outlet(true))));
    until("records come", || !pipeline.acked().is_empty()).await;
    let (_, errors) = process.stop();
    assert!(!errors.contains("sesame"), "{errors}");
    let batch = pipeline.batches().remove(0);
    let expected = format!("Basic {}", STANDARD.encode("entra:open~sesame"));
    assert_eq!(batch.headers["authorization"], expected);
}
