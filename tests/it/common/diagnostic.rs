//! What Azure's diagnostic settings make of a record that Graph has: the record of its category in
//! a message of Event Hubs. The differences are those that were measured on one tenant
//! (rknightion/graph2otel) and that are seen in samples of vendors of parsers
//! (SEKOIA-IO/intake-formats, elastic/integrations). Where several ways of writing are known,
//! `number` picks among them.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use vector_entra_id::{emulator::records::TENANT_ID, stream::Stream};

#[rustfmt::skip] // tables
const CONDITIONS: [&str; 17] = [
    "application", "users", "devicePlatform", "location", "clientType", "signInRisk", "userRisk",
    "time", "deviceState", "client", "ipAddressSeenByAzureAD", "ipAddressSeenByResourceProvider",
    "unknownFutureValue", "servicePrincipals", "servicePrincipalRisk", "authenticationFlows",
    "insiderRisk",
];
const RESULTS: [&str; 4] = ["success", "failure", "skipped", "warning"];
#[rustfmt::skip]
const STEPS: [&str; 6] = [
    "import", "scoping", "matching", "processing", "referenceResolution", "export",
];

/// The record in the envelope of its category. Azure has no category for security alerts.
pub fn record(stream: Stream, graph: &Value, number: usize) -> Value {
    let mut inner = graph.clone();
    let category = stream.entry().category;
    let resource = format!("/tenants/{TENANT_ID}/providers/Microsoft.aadiam");
    let spelt = |text: &str| {
        pick(
            number,
            [text.to_owned(), text.to_uppercase(), text.to_lowercase()],
        )
    };
    let mut outer = json!({
        "resourceId": spelt(&resource),
        "operationVersion": "1.0",
        "category": spelt(category),
        "durationMs": pick(number, [json!(0), json!("0")]),
        "resultSignature": "None",
    });
    if number % 5 != 4 {
        outer["tenantId"] = spelt(TENANT_ID).into();
    }
    let levels = [
        ("Level", json!(4)),
        ("level", json!("4")),
        ("level", json!("Informational")),
    ];
    let (name, level) = pick(number, levels);
    outer[name] = level;
    match stream {
        Stream::SignIns
        | Stream::SignInsNonInteractive
        | Stream::SignInsServicePrincipal
        | Stream::SignInsManagedIdentity => sign_in(graph, &mut inner, &mut outer, number),
        Stream::DirectoryAudits => audit(graph, &mut inner, &mut outer, number),
        Stream::Provisioning => provisioning(graph, &mut inner, &mut outer, number),
        Stream::RiskDetections | Stream::ServicePrincipalRiskDetections => {
            detection(graph, &mut inner, &mut outer);
        }
        Stream::RiskyUsers | Stream::RiskyServicePrincipals => {
            risk_state(graph, &mut inner, &mut outer);
        }
        Stream::SecurityAlerts => panic!("no category of Azure has security alerts"),
    }
    outer["properties"] = match number % 9 {
        8 => inner.to_string().into(),
        _ => inner,
    };
    outer
}

fn sign_in(graph: &Value, inner: &mut Value, outer: &mut Value, number: usize) {
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

    each_time(inner, exported);
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
    add(
        inner,
        &json!({
            "tenantId": TENANT_ID, "alternateSignInName": "", "appServicePrincipalId": null,
            "ssoExtensionVersion": "", "rngcStatus": 0, "authenticationStrengths": [],
            "userAdministrativeUnits": [], "sourceAppClientId": "", "redirectUrl": "",
        }),
    );
}

fn audit(graph: &Value, inner: &mut Value, outer: &mut Value, number: usize) {
    outer["time"] = graph["activityDateTime"].clone();
    // As many digits as in Graph.
    let time = text(graph, "activityDateTime").replace('Z', "+00:00");
    inner["activityDateTime"] = time.into();
    let activity = text(graph, "activityDisplayName");
    let padded = format!("{activity} ");
    outer["operationName"] = pick(number, [activity, padded.as_str()]).into();
    outer["correlationId"] = graph["correlationId"].clone();

    let [user, app] = ["user", "app"].map(|name| &graph["initiatedBy"][name]);
    let address = &user["ipAddress"];
    outer["callerIpAddress"] = match address.as_str() {
        Some(address) if !address.is_empty() => address.into(),
        _ if app.is_object() && number.is_multiple_of(2) => "192.0.2.77".into(),
        _ => "<null>".into(),
    };
    if let Some(initiators) = inner["initiatedBy"].as_object_mut() {
        initiators.retain(|_, initiator| !initiator.is_null());
    }
    if user.is_object() {
        let user = &mut inner["initiatedBy"]["user"];
        user["roles"] = json!([]);
        if address.is_null() {
            user["ipAddress"] = "<null>".into();
        } else if number % 3 == 1 {
            user["ipAddress"] = Value::Null;
        }
    }
    for target in items(inner, "targetResources") {
        target["administrativeUnits"] = json!([]);
        if let Some(target) = target.as_object_mut() {
            if target.get("groupType").is_some_and(Value::is_null) {
                target.remove("groupType");
            }
            if number.is_multiple_of(2) {
                rename(target, "type", "Type");
            }
        }
    }
    if number % 3 == 2 {
        add(
            inner,
            &json!({
                "resultType": "", "resultDescription": "", "operationName": activity,
                "tenantGeo": "EU",
            }),
        );
    }
    add(inner, &json!({"tenantId": TENANT_ID, "userAgent": null}));
}

fn provisioning(graph: &Value, inner: &mut Value, outer: &mut Value, number: usize) {
    let time = exported(text(graph, "activityDateTime")).replace("+00:00", "Z");
    let status = text(&graph["provisioningStatusInfo"], "status");
    let action = text(graph, "provisioningAction");
    add(
        outer,
        &json!({
            "time": time, "operationName": "Provisioning activity", "resultType": capital(status),
            "durationMs": graph["durationInMilliseconds"], "correlationId": graph["changeId"],
            "identity": graph["id"],
        }),
    );
    inner["activityDateTime"] = time.into();
    for name in [
        "servicePrincipal",
        "sourceSystem",
        "targetSystem",
        "sourceIdentity",
        "targetIdentity",
        "initiatedBy",
    ] {
        if let Some(party) = inner[name].as_object_mut() {
            rename(party, "id", "Id");
            rename(party, "displayName", "Name");
            rename(party, "initiatorType", "Type");
        }
    }
    if let Some(info) = inner["provisioningStatusInfo"].as_object_mut() {
        rename(info, "status", "Status");
    }
    inner["statusInfo"] = json!({"Status": place(&RESULTS, status)});
    for step in items(inner, "provisioningSteps") {
        let kind = place(&STEPS, text(step, "provisioningStepType"));
        let status = place(&RESULTS, text(step, "status"));
        step["provisioningStepType"] = kind.into();
        step["status"] = status.into();
    }
    inner["action"] = capital(action).into();
    inner["provisioningAction"] = pick(number, [action.to_owned(), capital(action)]).into();
}

fn detection(graph: &Value, inner: &mut Value, outer: &mut Value) {
    add(
        outer,
        &json!({
            "time": american(text(graph, "detectedDateTime")),
            "operationName": "User Risk Detection",
            // Not the record's own correlationId.
            "correlationId": graph["id"],
            "callerIpAddress": graph["ipAddress"],
        }),
    );
    each_time(inner, unpadded);
    if inner["location"]["geoCoordinates"].is_object() {
        inner["location"]["geoCoordinates"]["altitude"] = 0.into();
    }
    add(
        inner,
        &json!({
            "riskType": graph["riskEventType"], "resourceTenantId": null,
            "homeTenantId": TENANT_ID, "userType": "member", "crossTenantAccessType": "none",
        }),
    );
}

fn risk_state(graph: &Value, inner: &mut Value, outer: &mut Value) {
    add(
        outer,
        &json!({
            "time": american(text(graph, "riskLastUpdatedDateTime")), "operationName": "Risky user",
            "correlationId": graph["id"], "location": "neu",
        }),
    );
    each_time(inner, unpadded);
    inner["isGuest"] = false.into();
}

fn pick<T: Clone, const N: usize>(number: usize, variants: [T; N]) -> T {
    variants[number % N].clone()
}

/// `8/22/2022 6:11:52 PM`
fn american(time: &str) -> String {
    let time = DateTime::parse_from_rfc3339(time).unwrap();
    time.format("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}

/// `2026-07-17T05:10:02.1234567+00:00`: with a fraction also where Graph has whole seconds.
fn exported(time: &str) -> String {
    match time.trim_end_matches('Z') {
        whole if !whole.contains('.') => format!("{whole}.1234567+00:00"),
        time => format!("{time}+00:00"),
    }
}

/// `2022-09-09T9:59:27.958Z`
fn unpadded(time: &str) -> String {
    let time = DateTime::parse_from_rfc3339(time).unwrap();
    time.format("%Y-%m-%dT%-H:%M:%S%.3fZ").to_string()
}

fn each_time(value: &mut Value, rewrite: fn(&str) -> String) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                match value {
                    Value::String(time) if name.ends_with("DateTime") => *time = rewrite(time),
                    value => each_time(value, rewrite),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_time(value, rewrite)),
        _ => {}
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// `application,users` is 3.
fn flags(words: &str) -> u64 {
    let conditions = words.split(',').filter(|word| *word != "none");
    conditions
        .map(|word| 1_u64 << place(&CONDITIONS, word))
        .sum()
}

fn place(words: &[&str], word: &str) -> usize {
    words.iter().position(|there| *there == word).unwrap()
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The elements of a list, if it is one.
fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value
        .get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn rename(map: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = map.remove(old) {
        map.insert(new.to_owned(), value);
    }
}

fn add(to: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        to[name] = value.clone();
    }
}
