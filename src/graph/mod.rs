//! The wire to Microsoft Graph: where it is, how to be let in, how to ask, what it answers.
//!
//! In the order of a request: [`Cloud`], [`Tokens`], [`query`], [`Transport`], [`Client`], [`Page`],
//! and [`GraphError`] when there is none.

mod azure;
mod certificate;
mod claims;
mod client;
mod cloud;
mod credential;
mod error;
mod page;
pub mod query;
mod retry_after;
mod secret;
mod token;
mod token_error;
mod transport;

pub use certificate::{Certificate, CertificateError, CertificateSource};
pub use claims::Claims;
pub use client::{Answer, Client};
pub use cloud::{Cloud, NATIONAL};
pub use credential::{Credential, CredentialError, Proof};
pub use error::{Disposition, GraphError};
pub use page::{Page, split};
pub use query::Window;
pub use retry_after::retry_after;
pub use secret::{SecretError, SecretSource};
pub use token::Tokens;
pub use token_error::TokenError;
pub use transport::{
    ClientCertificate, ClientError, Network, Proxy, Route, Transport, TransportError,
};
