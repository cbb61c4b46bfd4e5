//! Page tokens: each stands for the rows of a query as they were when it began.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    odata::{Clause, Query},
    tenant::{Stored, Tenant, Version, time_in},
};
use crate::stream::Stream;

/// The page tokens that are alive.
#[derive(Debug, Default)]
pub struct Cursors(HashMap<String, Cursor>);

#[derive(Debug)]
struct Cursor {
    stream: Stream,
    rows: Vec<usize>,
    until: DateTime<Utc>,
}

impl Cursors {
    /// Fixes the rows of a query, newest first as Graph lists them, and returns the token that
    /// stands for them.
    pub fn begin(
        &mut self,
        tenant: &Tenant,
        stream: Stream,
        query: &Query,
        token: String,
        now: DateTime<Utc>,
        life: TimeDelta,
    ) -> String {
        let mut rows: Vec<(DateTime<Utc>, usize)> = tenant
            .records(stream)
            .iter()
            .enumerate()
            .filter_map(|(row, stored)| Some((matching(stream, stored, query, now)?, row)))
            .collect();
        rows.sort_by(|a, b| b.cmp(a));
        self.0.retain(|_, cursor| cursor.until > now);
        let cursor = Cursor {
            stream,
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            until: now + life,
        };
        self.0.insert(token.clone(), cursor);
        token
    }

    /// The token and the first row of a nextLink's `$skiptoken`, `<token>_<row>`; `None` when it
    /// is not known, or not any more.
    #[must_use]
    pub fn find(
        &self,
        skip_token: &str,
        stream: Stream,
        now: DateTime<Utc>,
    ) -> Option<(String, usize)> {
        let (token, start) = skip_token.split_once('_')?;
        let cursor = self.0.get(token)?;
        let start = start.parse().ok()?;
        let alive = cursor.stream == stream && cursor.until > now;
        (alive && start <= cursor.rows.len()).then(|| (token.to_owned(), start))
    }

    /// The rows that a token stands for.
    #[must_use]
    pub fn rows(&self, token: &str) -> &[usize] {
        self.0.get(token).map_or(&[], |cursor| &cursor.rows)
    }
}

/// The time by which a record is listed, if it is visible and matches.
fn matching(
    stream: Stream,
    stored: &Stored,
    query: &Query,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let (_, version) = stored.at(now)?;
    let matches = query.filter.iter().all(|clause| match clause {
        Clause::Time {
            property,
            operator,
            value,
        } => time(stream, version, property).is_some_and(|time| operator.holds(&time, value)),
        // Which stream is asked for was decided by it.
        Clause::SignInTypes(_) => true,
    });
    matches.then_some(version.time)
}

fn time(stream: Stream, version: &Version, property: &str) -> Option<DateTime<Utc>> {
    if property == stream.entry().time_property {
        Some(version.time)
    } else {
        time_in(property, &version.text)
    }
}
