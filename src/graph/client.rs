//! One request to Graph: token, headers, answer.

use std::{sync::Arc, time::SystemTime};

use azure_core::credentials::Secret;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, StatusCode, header};
use url::Url;

use super::{
    Claims, Cloud, GraphError, Tokens, Transport,
    page::{self, Page},
    retry_after::retry_after,
};
use crate::stream::Stream;

/// Graph as one tenant's app sees it.
pub struct Client {
    cloud: Cloud,
    tokens: Tokens,
    transport: Arc<dyn Transport>,
}

/// A page, or why not, and Graph's clock when it answered at all.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Result<Page, GraphError>,
    /// The `Date` header, in whole seconds.
    pub date: Option<DateTime<Utc>>,
}

impl Client {
    #[must_use]
    pub fn new(cloud: Cloud, tokens: Tokens, transport: Arc<dyn Transport>) -> Self {
        Self {
            cloud,
            tokens,
            transport,
        }
    }

    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Whether a request could go out at once, without asking for a token first.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.tokens.fresh().is_some()
    }

    /// Gets a token. Done ahead of requests, so that those that were granted by the budget leave
    /// when they were granted, and not all at once when the token comes.
    ///
    /// Returns what time it is at the token endpoint, if that is known.
    ///
    /// # Errors
    /// [`GraphError::Token`].
    pub async fn get_token(&self) -> Result<Option<DateTime<Utc>>, GraphError> {
        self.tokens.get().await?;
        Ok(self.tokens.date())
    }

    /// What the token that is held says of itself.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(self.tokens.fresh()?.secret())
    }

    /// Fetches one page. `following` says that `url` is the nextLink of an earlier one.
    ///
    /// A token that Graph refuses is forgotten: single backends have been seen to refuse valid
    /// ones. To try again is the ledger's, since every request costs budget.
    pub async fn page(&self, stream: Stream, url: &Url, following: bool) -> Answer {
        match self.try_page(stream, url, following).await {
            Ok(answer) => answer,
            Err(error) => Answer {
                outcome: Err(error),
                date: None,
            },
        }
    }

    async fn try_page(
        &self,
        stream: Stream,
        url: &Url,
        following: bool,
    ) -> Result<Answer, GraphError> {
        // The last gate before the token leaves: whatever built the URL, it goes nowhere else.
        if !self.cloud.owns(url) {
            return Err(GraphError::ForeignNextLink {
                host: url.host_str().unwrap_or_default().into(),
            });
        }
        let token = self.tokens.get().await?;
        let response = self.send(url, &token).await?;
        let (parts, body) = response.into_parts();
        let date = text(&parts.headers, header::DATE)
            .and_then(|text| httpdate::parse_http_date(text).ok());
        let outcome = if parts.status == StatusCode::OK {
            page::split(body.into(), stream, &self.cloud)
        } else {
            let wait = retry_after(text(&parts.headers, header::RETRY_AFTER), date);
            let error = GraphError::read(stream, parts.status, wait, &body, following);
            if matches!(error, GraphError::TokenRefused { .. }) {
                self.tokens.forget(&token);
            }
            Err(error)
        };
        Ok(Answer {
            outcome,
            date: date.map(|date: SystemTime| date.into()),
        })
    }

    async fn send(&self, url: &Url, token: &Secret) -> Result<http::Response<Bytes>, GraphError> {
        let request = Request::get(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", token.secret()))
            .header(header::ACCEPT, "application/json")
            // Without it Graph sends `unknownFutureValue` for every newer member of an enum
            // (Graph, "Handling future members in evolvable enumerations").
            .header("prefer", "include-unknown-enum-members")
            .body(Bytes::new())
            .map_err(|error| GraphError::BrokenPage(format!("its nextLink is no URL: {error}")))?;
        Ok(self.transport.send(request).await?)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
