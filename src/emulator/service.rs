//! The emulated tenant as one service: a request in, a response out.
//!
//! It has no clock and no socket of its own: the TLS server asks it, and so can a test.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, Request, Response, header};
use serde_json::json;
use url::Url;

use super::{
    answers::{error, expired_page_token, refused_bearer, respond, set},
    cursors::Cursors,
    faults::{Fault, Faults, RetryAfter},
    odata::{self, Clause, Query, Rules},
    tenant::Tenant,
    tokens::{App, Tokens},
};
use crate::stream::{Bucket, Stream};

/// Requests that a bucket takes in a span, before it throttles.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    pub requests: usize,
    pub per: TimeDelta,
}

/// An answer, and how long it takes.
#[derive(Debug)]
pub struct Reply {
    pub response: Response<Bytes>,
    pub delay: Duration,
}

/// What was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests to Graph by path, token requests aside.
    pub requests: u64,
    /// Of those, how many were throttled.
    pub throttled: u64,
    pub tokens: u64,
    /// Requests without `Prefer: include-unknown-enum-members`.
    pub without_prefer: u64,
}

/// The emulated tenant.
pub struct Service {
    pub app: App,
    pub tenant: Tenant,
    pub faults: Faults,
    pub served: Served,
    pub tokens: Tokens,
    /// How long a page token lasts.
    pub page_token_life: TimeDelta,
    graph: Url,
    throttles: HashMap<Bucket, (Throttle, VecDeque<DateTime<Utc>>)>,
    cursors: Cursors,
    shown: HashSet<(Stream, usize, usize)>,
    rng: fastrand::Rng,
}

impl Service {
    /// `graph` is the URL under which clients see the service.
    #[must_use]
    pub fn new(app: App, tenant: Tenant, graph: Url, seed: u64) -> Self {
        let throttle = |requests, seconds| {
            let per = TimeDelta::seconds(seconds);
            (Throttle { requests, per }, VecDeque::new())
        };
        Self {
            app,
            tenant,
            faults: Faults::default(),
            served: Served::default(),
            tokens: Tokens::new(&graph),
            page_token_life: TimeDelta::minutes(20),
            graph,
            throttles: HashMap::from([
                (Bucket::Reports, throttle(5, 10)),
                (Bucket::IdentityProtection, throttle(1, 1)),
                (Bucket::Security, throttle(5, 1)),
            ]),
            cursors: Cursors::default(),
            shown: HashSet::new(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Sets what a bucket takes.
    pub fn set_throttle(&mut self, bucket: Bucket, throttle: Throttle) {
        self.throttles.insert(bucket, (throttle, VecDeque::new()));
    }

    /// What a collector that missed nothing has delivered by `now`, for one stream: every version
    /// that was shown to it, and of every record the version that is visible now.
    #[must_use]
    pub fn owed(&self, stream: Stream, now: DateTime<Utc>) -> usize {
        let visible = self.tenant.records(stream).iter().enumerate();
        let latest = visible.filter_map(|(row, stored)| Some((stream, row, stored.at(now)?.0)));
        let shown = self.shown.iter().filter(|(of, ..)| *of == stream).copied();
        shown.chain(latest).collect::<HashSet<_>>().len()
    }

    /// Answers one request.
    pub fn handle(&mut self, request: &Request<Bytes>, now: DateTime<Utc>) -> Reply {
        let mut reply = self.route(request, now);
        let date = httpdate::fmt_http_date(now.into());
        set(&mut reply.response, header::DATE, &date);
        reply
    }

    fn route(&mut self, request: &Request<Bytes>, now: DateTime<Utc>) -> Reply {
        let path = request.uri().path();
        if let Some(tenant) = path.strip_suffix("/oauth2/v2.0/token") {
            return if request.method() == Method::POST {
                self.served.tokens += 1;
                self.tokens
                    .issue(&self.app, tenant.trim_matches('/'), request.body(), now)
                    .into()
            } else {
                error(405, "Request_BadRequest", "Method not allowed").into()
            };
        }
        if request.method() != Method::GET {
            return error(405, "Request_BadRequest", "Method not allowed").into();
        }
        self.served.requests += 1;
        if !prefers_unknown_members(request.headers()) {
            self.served.without_prefer += 1;
        }
        match self.graph(request, now) {
            Ok(reply) => reply,
            Err(Refusal(response)) => (*response).into(),
        }
    }

    fn graph(&mut self, request: &Request<Bytes>, now: DateTime<Utc>) -> Result<Reply, Refusal> {
        if !self.tokens.accepts(request.headers(), now) {
            return Err(refused_bearer().into());
        }
        let mut url = self.graph.clone();
        url.set_path(request.uri().path());
        url.set_query(request.uri().query());
        let (streams, beta) = endpoint(url.path())?;
        self.check_granted(streams[0])?;
        self.check_throttle(streams[0].entry().bucket, now)?;
        let rules = odata::rules(streams[0], beta);
        let query =
            odata::parse(&url, &rules).map_err(|refusal| error(400, "BadRequest", &refusal.0))?;
        let stream = stream_of(&streams, &query);
        let fault = self.faults.next(&mut self.rng, stream);
        match fault {
            Some(Fault::Throttle(form)) => Err(self.throttled(form, now).into()),
            Some(Fault::Refuse {
                status,
                code,
                message,
            }) => Err(error(status, code, message).into()),
            Some(Fault::RefusedBearer) => Err(refused_bearer().into()),
            Some(Fault::Gateway) => Err(respond(
                502,
                "text/html",
                "<html><body>502 Bad Gateway</body></html>".into(),
            )
            .into()),
            Some(Fault::ExpiredToken) if query.skip_token.is_some() => {
                Err(expired_page_token().into())
            }
            Some(Fault::Slow(delay)) => {
                let response = self.page(stream, &url, &query, &rules, None, now)?;
                Ok(Reply { response, delay })
            }
            fault => self
                .page(stream, &url, &query, &rules, fault, now)
                .map(Reply::from),
        }
    }

    /// The refusals of an app without the permission, or a tenant without the licence.
    fn check_granted(&self, stream: Stream) -> Result<(), Refusal> {
        let entry = stream.entry();
        if !self.app.permissions.contains(entry.permission) {
            return Err(match entry.bucket {
                Bucket::Reports => error(
                    403,
                    "Authentication_MSGraphPermissionMissing",
                    &format!(
                        "The principal does not have required Microsoft Graph permission(s): {} to \
                         call this API.",
                        entry.permission
                    ),
                ),
                Bucket::IdentityProtection | Bucket::Security => error(
                    403,
                    "Forbidden",
                    "You cannot perform the requested operation, required scopes are missing in \
                     the token.",
                ),
            }
            .into());
        }
        if !self.app.premium
            && stream != Stream::DirectoryAudits
            && stream != Stream::SecurityAlerts
        {
            return Err(error(
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
            )
            .into());
        }
        Ok(())
    }

    fn check_throttle(&mut self, bucket: Bucket, now: DateTime<Utc>) -> Result<(), Refusal> {
        let Some((throttle, sent)) = self.throttles.get_mut(&bucket) else {
            return Ok(());
        };
        while sent
            .front()
            .is_some_and(|first| *first + throttle.per <= now)
        {
            sent.pop_front();
        }
        if sent.len() < throttle.requests {
            sent.push_back(now);
            return Ok(());
        }
        // Identity protection is documented to throttle without a Retry-After.
        let form = match bucket {
            Bucket::Reports | Bucket::Security => RetryAfter::Seconds(2),
            Bucket::IdentityProtection => RetryAfter::Absent,
        };
        Err(self.throttled(form, now).into())
    }

    fn throttled(&mut self, form: RetryAfter, now: DateTime<Utc>) -> Response<Bytes> {
        self.served.throttled += 1;
        let mut response = error(429, "TooManyRequests", "Please retry again later.");
        let value = match form {
            RetryAfter::Absent => return response,
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::Decimal(seconds) => seconds.to_string(),
            RetryAfter::Date(seconds) => {
                httpdate::fmt_http_date((now + TimeDelta::seconds(seconds.into())).into())
            }
        };
        set(&mut response, header::RETRY_AFTER, &value);
        response
    }

    fn page(
        &mut self,
        stream: Stream,
        url: &Url,
        query: &Query,
        rules: &Rules,
        fault: Option<Fault>,
        now: DateTime<Utc>,
    ) -> Result<Response<Bytes>, Refusal> {
        let (token, start) = match &query.skip_token {
            Some(token) => self
                .cursors
                .find(token, stream, now)
                .ok_or_else(expired_page_token)?,
            None => {
                let token = format!("{:016x}{:016x}", self.rng.u64(..), self.rng.u64(..));
                let life = self.page_token_life;
                let token = self
                    .cursors
                    .begin(&self.tenant, stream, query, token, now, life);
                (token, 0)
            }
        };
        let rows = self.cursors.rows(&token);
        let size = query.top.unwrap_or(rules.default_page);
        let end = match fault {
            Some(Fault::EmptyPage) => start,
            Some(Fault::ShortPage) => start + size.div_ceil(2),
            _ => start + size,
        }
        .min(rows.len());
        let records = self.tenant.records(stream);
        let mut texts = Vec::with_capacity(end - start);
        for row in &rows[start..end] {
            if let Some((number, version)) = records.get(*row).and_then(|stored| stored.at(now)) {
                texts.push(version.text.as_str());
                self.shown.insert((stream, *row, number));
            }
        }
        let mut body = format!(
            r#"{{"@odata.context":"{}$metadata#{}","#,
            self.graph,
            stream.entry().path
        );
        if end < rows.len() {
            let next = next_link(url, &format!("{token}_{end}"));
            body.push_str(&format!(r#""@odata.nextLink":{},"#, json!(next)));
        } else if fault == Some(Fault::ForeignNextLink) {
            body.push_str(r#""@odata.nextLink":"https://graph.example.org/beta/next","#);
        }
        body.push_str(r#""value":["#);
        body.push_str(&texts.join(","));
        if fault == Some(Fault::CutPage) {
            // As seen in microsoft-graph-docs #3648.
            body.push_str(r#",{"id":"cut","error":{"code":"BadRequest","message":"The property"#);
        } else {
            body.push_str("]}");
        }
        Ok(respond(
            200,
            "application/json;odata.metadata=minimal",
            body,
        ))
    }
}

/// The streams behind a path, and whether it is beta's.
fn endpoint(path: &str) -> Result<(Vec<Stream>, bool), Refusal> {
    let path = path.trim_start_matches('/');
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    let streams: Vec<Stream> = Stream::ALL
        .into_iter()
        .filter(|stream| stream.entry().path == rest)
        .collect();
    match version {
        "v1.0" | "beta" if !streams.is_empty() => Ok((streams, version == "beta")),
        _ => {
            let segment = rest.rsplit('/').next().unwrap_or_default();
            let text = format!("Resource not found for the segment '{segment}'.");
            Err(error(400, "BadRequest", &text).into())
        }
    }
}

/// Which of the streams that share a path is meant: without a clause, the interactive sign-ins.
fn stream_of(streams: &[Stream], query: &Query) -> Stream {
    let types = query.filter.iter().find_map(|clause| match clause {
        Clause::SignInTypes(types) => types.first().map(String::as_str),
        Clause::Time { .. } => None,
    });
    match types {
        Some("nonInteractiveUser") => Stream::SignInsNonInteractive,
        Some("servicePrincipal") => Stream::SignInsServicePrincipal,
        Some("managedIdentity") => Stream::SignInsManagedIdentity,
        _ => streams[0],
    }
}

fn next_link(url: &Url, skip_token: &str) -> String {
    let mut parts: Vec<String> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("$skiptoken="))
        .map(str::to_owned)
        .collect();
    parts.push(format!("$skiptoken={skip_token}"));
    let mut next = url.clone();
    next.set_query(Some(&parts.join("&")));
    next.into()
}

fn prefers_unknown_members(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .any(|value| value == "include-unknown-enum-members")
}

/// An answer that is no page.
struct Refusal(Box<Response<Bytes>>);

impl From<Response<Bytes>> for Refusal {
    fn from(response: Response<Bytes>) -> Self {
        Self(Box::new(response))
    }
}

impl From<Response<Bytes>> for Reply {
    fn from(response: Response<Bytes>) -> Self {
        Self {
            response,
            delay: Duration::ZERO,
        }
    }
}
