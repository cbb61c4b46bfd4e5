//! From a response's body to records, without building a tree for any of them.

use std::{borrow::Cow, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use url::Url;

use super::{Cloud, GraphError};
use crate::{record::Record, stream::Stream};

/// One page as Graph sent it.
#[derive(Debug)]
pub struct Page {
    pub records: Vec<Record>,
    /// Where the next page is, on the cloud's own host; `None` after the last.
    pub next: Option<Url>,
    /// Bytes of the body, which the records share.
    pub bytes: usize,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(borrow, rename = "@odata.nextLink", default)]
    next: Option<Cow<'a, str>>,
}

/// Splits a page into records.
///
/// # Errors
/// [`GraphError::BrokenPage`] when the body is not the JSON of a page: Graph has been seen to cut a
/// page in the middle of the array under status 200 (microsoft-graph-docs #3648), and a page of
/// which a part is missing must not count as read. [`GraphError::ForeignNextLink`] when the next
/// page is on another host.
pub fn split(body: Vec<u8>, stream: Stream, cloud: &Cloud) -> Result<Page, GraphError> {
    let bytes = body.len();
    let body = String::from_utf8(body)
        .map_err(|error| GraphError::BrokenPage(format!("it is not UTF-8: {error}")))?;
    let body = Arc::new(body);
    let envelope: Envelope = serde_json::from_str(&body)
        .map_err(|error| GraphError::BrokenPage(format!("{} bytes, {error}", body.len())))?;
    let next = envelope.next.map(|link| pinned(&link, cloud)).transpose()?;
    let property = stream.entry().time_property;
    let records = envelope
        .value
        .into_iter()
        .map(|raw| {
            let head = head(raw.get(), property);
            Record::new(&body, raw.get(), head.id, head.time)
        })
        .collect();
    Ok(Page {
        records,
        next,
        bytes,
    })
}

fn pinned(link: &str, cloud: &Cloud) -> Result<Url, GraphError> {
    let url = Url::parse(link)
        .map_err(|error| GraphError::BrokenPage(format!("its nextLink is no URL: {error}")))?;
    if cloud.owns(&url) {
        Ok(url)
    } else {
        Err(GraphError::ForeignNextLink {
            host: url.host_str().unwrap_or_default().into(),
        })
    }
}

/// All that the source reads of a record.
#[derive(Debug, Default, PartialEq)]
struct Head {
    id: Option<String>,
    time: Option<DateTime<Utc>>,
}

/// Reads a record's id and time. What is not there, or not of its type, is `None`: a record is
/// delivered whatever it looks like.
fn head(raw: &str, time_property: &str) -> Head {
    let mut json = serde_json::Deserializer::from_str(raw);
    HeadSeed { time_property }
        .deserialize(&mut json)
        .unwrap_or_default()
}

struct HeadSeed<'a> {
    time_property: &'a str,
}

impl<'de> DeserializeSeed<'de> for HeadSeed<'_> {
    type Value = Head;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Head, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadSeed<'_> {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "id" {
                head.id = text(map.next_value()?).filter(|id| !id.is_empty());
            } else if key == self.time_property {
                head.time = text(map.next_value()?).and_then(|text| parse_time(&text));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if head.id.is_some() && head.time.is_some() {
                // The rest was checked with the page; draining it is what serde asks for.
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                break;
            }
        }
        if head == Head::default() {
            return Err(A::Error::custom("neither id nor time"));
        }
        Ok(head)
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Graph's times: RFC 3339 with up to seven digits of a second, `Z` or an offset.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Result<Page, GraphError> {
        let cloud = Cloud::national("global").unwrap();
        split(body.as_bytes().to_vec(), Stream::SignIns, &cloud)
    }

    #[test]
    fn a_record_is_kept_byte_for_byte() {
        let raw =
            r#"{ "id" : "1",  "createdDateTime":"2026-11-22T10:00:00Z", "x": [1.0, "\u00e9"] }"#;
        let page = page(&format!(r#"{{"value":[{raw}]}}"#)).unwrap();
        assert_eq!(page.records[0].raw(), raw);
        assert_eq!(page.records[0].id(), Some("1"));
        assert_eq!(
            page.records[0].time(),
            Some("2026-11-22T10:00:00Z".parse().unwrap())
        );
        assert_eq!(page.next, None);
    }

    #[test]
    fn an_empty_page_may_have_a_next_one() {
        let page = page(
            r#"{"value":[],"@odata.nextLink":"https:\/\/graph.microsoft.com\/beta\/x?$skiptoken=a_1"}"#,
        )
        .unwrap();
        assert!(page.records.is_empty());
        assert_eq!(
            page.next.unwrap().as_str(),
            "https://graph.microsoft.com/beta/x?$skiptoken=a_1"
        );
    }

    #[test]
    fn a_cut_page_is_a_failed_page() {
        for body in [
            "",
            "{}",
            r#"{"value":[{"id":"1"}"#,
            r#"{"value":[{"id":"1"},{"error":{"code":"BadRequest"}}"#,
            r#"{"error":{"code":"BadRequest"}}"#,
            r#"{"value":null}"#,
            "<html></html>",
        ] {
            let error = page(body).unwrap_err();
            assert!(matches!(error, GraphError::BrokenPage(_)), "{body}");
        }
    }

    #[test]
    fn a_next_link_to_another_host_is_an_error() {
        for host in ["evil.example", "graph.microsoft.us"] {
            let body = format!(r#"{{"value":[],"@odata.nextLink":"https://{host}/x"}}"#);
            let error = page(&body).unwrap_err();
            assert!(
                matches!(error, GraphError::ForeignNextLink { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_record_of_any_shape_is_a_record() {
        let page = page(
            r#"{"value":[null, 7, "x", [], {}, {"id":5,"createdDateTime":9}, {"id":"","createdDateTime":"soon"}]}"#,
        )
        .unwrap();
        assert_eq!(page.records.len(), 7);
        for record in &page.records {
            assert_eq!((record.id(), record.time()), (None, None));
        }
    }

    #[test]
    fn times_of_every_precision_are_read() {
        for (text, nanos) in [
            ("2026-11-22T10:00:00Z", 0),
            ("2026-11-22T10:00:00.5Z", 500_000_000),
            ("2026-11-22T10:00:00.9301252Z", 930_125_200),
            ("2026-11-22T10:00:00.9301252+00:00", 930_125_200),
        ] {
            assert_eq!(parse_time(text).unwrap().timestamp_subsec_nanos(), nanos);
        }
    }
}
