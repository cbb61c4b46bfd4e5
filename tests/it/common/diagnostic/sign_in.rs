//! Sign-ins, of all four categories.

use serde_json::{Value, json};
use vector_entra_id::emulator::records::TENANT_ID;

use super::{
    parts::{add, american, each_time, exported, items, place, text, without_nulls},
    pick,
};

#[rustfmt::skip] // tables
const CONDITIONS: [&str; 17] = [
    "application", "users", "devicePlatform", "location", "clientType", "signInRisk", "userRisk",
    "time", "deviceState", "client", "ipAddressSeenByAzureAD", "ipAddressSeenByResourceProvider",
    "unknownFutureValue", "servicePrincipals", "servicePrincipalRisk", "authenticationFlows",
    "insiderRisk",
];

/// Makes `inner` and `outer` of the record as this feed writes them.
pub fn sign_in(graph: &Value, inner: &mut Value, outer: &mut Value, number: usize) {
    envelope(graph, inner, outer, number);
    each_time(inner, exported);
    lists(inner, number);
    match inner["userType"].as_str() {
        Some("member") => inner["userType"] = "Member".into(),
        Some("guest") => inner["userType"] = "Guest".into(),
        _ => {}
    }

    // What is null in Graph is left out, or is an empty object.
    without_nulls(inner);
    if number % 2 == 1 && graph["mfaDetail"].is_null() {
        inner["mfaDetail"] = json!({});
    }
    if graph["userId"] == "" {
        inner["userId"] = pick(number, [Value::Null, json!("")]);
    }
    if inner.get("riskEventTypes").is_none() {
        inner["riskEventTypes"] = graph["riskEventTypes_v2"].clone();
    }
    as_texts(&graph["status"], inner, number);
    add(
        inner,
        &json!({
            "tenantId": TENANT_ID, "alternateSignInName": "", "appServicePrincipalId": null,
            "ssoExtensionVersion": "", "rngcStatus": 0, "authenticationStrengths": [],
            "userAdministrativeUnits": [], "sourceAppClientId": "", "redirectUrl": "",
        }),
    );
}

/// What the envelope tells.
fn envelope(graph: &Value, inner: &mut Value, outer: &mut Value, number: usize) {
    // The time of the export.
    let times = [
        american(text(graph, "createdDateTime")),
        "2030-01-01T00:00:00.1234567Z".to_owned(),
    ];
    outer["time"] = pick(number, times).into();
    outer["operationName"] = "Sign-in activity".into();
    let status = &graph["status"];
    let failed = status["errorCode"] != 0;
    outer["resultType"] = status["errorCode"].to_string().into();
    if failed {
        outer["resultDescription"] = status["failureReason"].clone();
    } else if number.is_multiple_of(2) {
        inner["status"]["failureReason"] = Value::Null;
    }
    outer["correlationId"] = graph["correlationId"].clone();
    if graph["ipAddress"].is_string() {
        outer["callerIpAddress"] = graph["ipAddress"].clone();
    } else if number.is_multiple_of(2) {
        outer["callerIpAddress"] = "<null>".into();
        inner["ipAddress"] = "".into();
    }
    if graph["userDisplayName"].is_string() {
        outer["identity"] = graph["userDisplayName"].clone();
        outer["location"] = graph["location"]["countryOrRegion"].clone();
    }
}

/// What is written otherwise within lists.
fn lists(inner: &mut Value, number: usize) {
    for policy in items(inner, "appliedConditionalAccessPolicies") {
        for name in ["conditionsSatisfied", "conditionsNotSatisfied"] {
            if let Some(words) = policy[name].as_str() {
                policy[name] = match number % 4 {
                    3 => flags(words).to_string().into(),
                    _ => flags(words).into(),
                };
            }
        }
        for name in ["includeRulesSatisfied", "excludeRulesSatisfied"] {
            for rule in items(policy, name) {
                let words = text(rule, "conditionalAccessCondition").to_owned();
                if number.is_multiple_of(3) {
                    rule["conditionalAccessCondition"] = flags(&words).into();
                }
            }
        }
    }
    for step in items(inner, "authenticationDetails") {
        step["StatusSequence"] = 0.into();
        step["RequestSequence"] = 1.into();
    }
    if number % 2 == 1 {
        for audience in items(inner, "conditionalAccessAudiences") {
            *audience = json!({"applicationId": audience, "audienceReasons": "none"});
        }
    }
}

/// Scalars and whole structures that some exports write as texts.
fn as_texts(status: &Value, inner: &mut Value, number: usize) {
    if number % 7 == 3 {
        // Some exports write every scalar as a text.
        inner["status"]["errorCode"] = status["errorCode"].to_string().into();
        let scalars = [
            "isInteractive",
            "processingTimeInMilliseconds",
            "autonomousSystemNumber",
        ];
        for name in scalars {
            if let Some(value) = inner.get_mut(name) {
                *value = value.to_string().into();
            }
        }
        for name in ["isCompliant", "isManaged"] {
            if let Some(flag) = inner["deviceDetail"][name].as_bool() {
                inner["deviceDetail"][name] = ["False", "True"][usize::from(flag)].into();
            }
        }
    }
    if number % 6 == 5 {
        for name in [
            "status",
            "deviceDetail",
            "location",
            "appliedConditionalAccessPolicies",
            "authenticationDetails",
            "conditionalAccessAudiences",
        ] {
            if let Some(value) = inner.get_mut(name) {
                *value = value.to_string().into();
            }
        }
    }
}

/// `application,users` is 3.
fn flags(words: &str) -> u64 {
    let conditions = words.split(',').filter(|word| *word != "none");
    conditions
        .map(|word| 1_u64 << place(&CONDITIONS, word))
        .sum()
}
