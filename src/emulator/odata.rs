//! The subset of OData that the log endpoints take, and refusals for everything else.
//!
//! What is allowed where follows Graph's reference of each resource; the texts of refusals are
//! those that Graph has been seen to send.

use chrono::{DateTime, Utc};
use url::Url;

use crate::stream::Stream;

/// A refusal with status 400.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRequest(pub String);

/// A query, understood.
#[derive(Debug, Default, PartialEq)]
pub struct Query {
    pub top: Option<usize>,
    pub skip_token: Option<String>,
    pub filter: Vec<Clause>,
}

/// One condition of a filter; all must hold.
#[derive(Debug, PartialEq)]
pub enum Clause {
    Time {
        property: String,
        operator: Operator,
        value: DateTime<Utc>,
    },
    /// `signInEventTypes/any(t: t eq '...' or t eq '...')`
    SignInTypes(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Operator {
    /// Whether `left operator right` holds.
    #[must_use]
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Ge => left >= right,
            Self::Gt => left > right,
            Self::Le => left <= right,
            Self::Lt => left < right,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "le" => Self::Le,
            "lt" => Self::Lt,
            _ => return None,
        })
    }
}

/// What one endpoint allows.
#[derive(Debug)]
pub struct Rules {
    /// The type's name in messages.
    pub type_name: &'static str,
    /// Time properties that may be filtered by, with their operators.
    pub times: &'static [(&'static str, &'static [Operator])],
    /// Whether `signInEventTypes` is a property: in beta.
    pub sign_in_types: bool,
    pub max_page: usize,
    pub default_page: usize,
}

const GE_LE: &[Operator] = &[Operator::Eq, Operator::Ge, Operator::Le];
const GT_LT: &[Operator] = &[Operator::Eq, Operator::Gt, Operator::Lt];
const ANY: &[Operator] = &[
    Operator::Eq,
    Operator::Ge,
    Operator::Gt,
    Operator::Le,
    Operator::Lt,
];
const EQ: &[Operator] = &[Operator::Eq];

/// The rules of a stream's endpoint.
#[must_use]
pub fn rules(stream: Stream, beta: bool) -> Rules {
    let risk = |type_name, times| Rules {
        type_name,
        times,
        sign_in_types: false,
        max_page: 500,
        default_page: 20,
    };
    match stream {
        Stream::DirectoryAudits => Rules {
            type_name: "microsoft.graph.directoryAudit",
            times: &[("activityDateTime", GE_LE)],
            sign_in_types: false,
            max_page: 1000,
            default_page: 1000,
        },
        Stream::SignIns
        | Stream::SignInsNonInteractive
        | Stream::SignInsServicePrincipal
        | Stream::SignInsManagedIdentity => Rules {
            type_name: "microsoft.graph.signIn",
            times: &[("createdDateTime", GE_LE)],
            sign_in_types: beta,
            max_page: 1000,
            default_page: 1000,
        },
        Stream::Provisioning => Rules {
            type_name: "microsoft.graph.provisioningObjectSummary",
            times: &[("activityDateTime", GT_LT)],
            sign_in_types: false,
            max_page: 500,
            default_page: 100,
        },
        Stream::RiskDetections => risk(
            "microsoft.graph.riskDetection",
            &[
                ("detectedDateTime", ANY),
                ("activityDateTime", ANY),
                ("lastUpdatedDateTime", ANY),
            ],
        ),
        Stream::ServicePrincipalRiskDetections => risk(
            "microsoft.graph.servicePrincipalRiskDetection",
            &[
                ("detectedDateTime", ANY),
                ("activityDateTime", ANY),
                ("lastUpdatedDateTime", ANY),
            ],
        ),
        Stream::RiskyUsers => risk(
            "microsoft.graph.riskyUser",
            &[("riskLastUpdatedDateTime", EQ)],
        ),
        Stream::RiskyServicePrincipals => risk(
            "microsoft.graph.riskyServicePrincipal",
            &[("riskLastUpdatedDateTime", EQ)],
        ),
        Stream::SecurityAlerts => Rules {
            type_name: "microsoft.graph.security.alert",
            times: &[("createdDateTime", ANY), ("lastUpdateDateTime", ANY)],
            sign_in_types: false,
            max_page: 1000,
            default_page: 100,
        },
    }
}

/// Reads the query of a URL.
///
/// # Errors
/// [`BadRequest`] for whatever the endpoint does not allow.
pub fn parse(url: &Url, rules: &Rules) -> Result<Query, BadRequest> {
    let mut query = Query::default();
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "$top" => query.top = Some(top(&value, rules)?),
            "$skiptoken" => query.skip_token = Some(value.into_owned()),
            "$filter" => query.filter = filter(&value, rules)?,
            "$orderby" => order_by(&value, rules)?,
            name if name.starts_with('$') => {
                let option = name.trim_start_matches('$');
                return Err(BadRequest(format!(
                    "Query option '{option}' is not allowed. To allow it, set the \
                     'AllowedQueryOptions' property on EnableQueryAttribute or \
                     QueryValidationSettings."
                )));
            }
            // Graph ignores options without the dollar sign (azure-docs #11920).
            _ => {}
        }
    }
    Ok(query)
}

fn top(value: &str, rules: &Rules) -> Result<usize, BadRequest> {
    match value.parse() {
        Ok(top) if (1..=rules.max_page).contains(&top) => Ok(top),
        _ => Err(BadRequest(format!(
            "Invalid page size specified: '{value}'. Must be between 1 and {} inclusive.",
            rules.max_page
        ))),
    }
}

fn order_by(value: &str, rules: &Rules) -> Result<(), BadRequest> {
    let property = value.split_whitespace().next().unwrap_or_default();
    if rules.times.iter().any(|(name, _)| *name == property) {
        Ok(())
    } else {
        Err(no_property(property, rules))
    }
}

fn filter(text: &str, rules: &Rules) -> Result<Vec<Clause>, BadRequest> {
    text.split(" and ")
        .map(|part| clause(part, rules))
        .collect()
}

fn clause(text: &str, rules: &Rules) -> Result<Clause, BadRequest> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("signInEventTypes/any(") {
        if !rules.sign_in_types {
            return Err(no_property("signInEventTypes", rules));
        }
        return sign_in_types(rest).ok_or_else(invalid_filter);
    }
    let mut words = text.split_whitespace();
    let (Some(property), Some(operator), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid_filter());
    };
    let Some((_, operators)) = rules.times.iter().find(|(name, _)| *name == property) else {
        return Err(no_property(property, rules));
    };
    let operator = Operator::parse(operator)
        .filter(|operator| operators.contains(operator))
        .ok_or_else(invalid_filter)?;
    let value = DateTime::parse_from_rfc3339(value)
        .map_err(|_| invalid_filter())?
        .to_utc();
    Ok(Clause::Time {
        property: property.to_owned(),
        operator,
        value,
    })
}

/// What stands within `any(...)`: `t: t eq 'a' or t eq 'b')`.
fn sign_in_types(text: &str) -> Option<Clause> {
    let body = text.strip_suffix(')')?;
    let (variable, conditions) = body.split_once(':')?;
    let types = conditions
        .split(" or ")
        .map(|condition| {
            let (left, right) = condition.split_once(" eq ")?;
            let value = right.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (left.trim() == variable.trim()).then(|| value.to_owned())
        })
        .collect::<Option<Vec<String>>>()?;
    Some(Clause::SignInTypes(types))
}

fn invalid_filter() -> BadRequest {
    BadRequest("Invalid filter clause".into())
}

fn no_property(name: &str, rules: &Rules) -> BadRequest {
    BadRequest(format!(
        "Could not find a property named '{name}' on type '{}'.",
        rules.type_name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_for(stream: Stream, beta: bool, query: &str) -> Result<Query, String> {
        let url = Url::parse(&format!("https://graph.example/x?{query}")).unwrap();
        parse(&url, &rules(stream, beta)).map_err(|refusal| refusal.0)
    }

    #[test]
    fn a_window_is_understood() {
        let query = parse_for(
            Stream::SignIns,
            true,
            "$top=5&$filter=signInEventTypes/any(t:%20t%20eq%20%27a%27)%20and%20createdDateTime%20ge%202026-11-22T10:00:00Z",
        )
        .unwrap();
        assert_eq!(query.top, Some(5));
        assert_eq!(query.filter[0], Clause::SignInTypes(vec!["a".into()]));
        assert!(matches!(
            &query.filter[1],
            Clause::Time {
                operator: Operator::Ge,
                ..
            }
        ));
    }

    #[test]
    fn what_graph_refuses_is_refused_in_graph_s_words() {
        let time = "2026-11-22T10:00:00Z";
        for (stream, beta, query, says) in [
            (
                Stream::SignIns,
                true,
                "$skip=1",
                "Query option 'skip' is not allowed",
            ),
            (
                Stream::SignIns,
                true,
                "$top=0",
                "Invalid page size specified: '0'",
            ),
            (
                Stream::RiskDetections,
                false,
                "$top=1000",
                "between 1 and 500 inclusive",
            ),
            (
                Stream::SignIns,
                false,
                "$filter=signInEventTypes/any(t: t eq 'x')",
                "Could not find a property named 'signInEventTypes'",
            ),
            (
                Stream::SignIns,
                true,
                &format!("$filter=createdDateTime gt {time}"),
                "Invalid filter clause",
            ),
            (
                Stream::Provisioning,
                false,
                &format!("$filter=activityDateTime ge {time}"),
                "Invalid filter clause",
            ),
            (
                Stream::RiskyUsers,
                false,
                &format!("$filter=riskLastUpdatedDateTime ge {time}"),
                "Invalid filter clause",
            ),
            (
                Stream::DirectoryAudits,
                false,
                &format!("$filter=createdDateTime ge {time}"),
                "Could not find a property named 'createdDateTime'",
            ),
            (
                Stream::DirectoryAudits,
                false,
                "$filter=activityDateTime ge 'yesterday'",
                "Invalid filter clause",
            ),
            (
                Stream::DirectoryAudits,
                false,
                &format!("$filter=activityDateTime ge {time} or x eq y"),
                "Invalid filter clause",
            ),
        ] {
            let refusal = parse_for(stream, beta, query).unwrap_err();
            assert!(refusal.contains(says), "{query}: {refusal}");
        }
    }

    #[test]
    fn an_option_without_its_dollar_sign_is_ignored() {
        let query = parse_for(Stream::DirectoryAudits, false, "top=5").unwrap();
        assert_eq!(query, Query::default());
    }
}
