//! Whether a client assertion is what Entra takes: signed with the key of the app's certificate,
//! and saying what it must.
//!
//! Entra, "Microsoft identity platform application authentication certificate credentials".

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use x509_cert::der::Decode;

use super::tokens::App;

/// Seconds by which the clocks may differ.
const LEEWAY: i64 = 300;

/// Whether the app proves itself with this assertion, to the endpoint of `tenant`, at `now`.
pub fn is_signed(app: &App, assertion: &str, tenant: &str, now: DateTime<Utc>) -> bool {
    check(app, assertion, tenant, now).is_some()
}

fn check(app: &App, assertion: &str, tenant: &str, now: DateTime<Utc>) -> Option<()> {
    let der = app.certificate.as_ref()?;
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let json =
        |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let (header, claims) = (json(header)?, json(claims)?);
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let key = certificate.tbs_certificate.subject_public_key_info;
    UnparsedPublicKey::new(
        &RSA_PSS_2048_8192_SHA256,
        key.subject_public_key.raw_bytes(),
    )
    .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)
    .ok()?;
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(der));
    let client_id = app.client_id.to_string();
    let audience = claims["aud"].as_str()?;
    let now = now.timestamp();
    let said = header["alg"] == "PS256"
        && header["x5t#S256"] == thumbprint.as_str()
        && claims["iss"] == client_id.as_str()
        && claims["sub"] == client_id.as_str()
        && claims["jti"].is_string()
        && audience.starts_with("https://")
        && audience.ends_with(&format!("/{tenant}/oauth2/v2.0/token"));
    let holds = claims["nbf"].as_i64()? <= now + LEEWAY && now - LEEWAY < claims["exp"].as_i64()?;
    (said && holds).then_some(())
}
