//! What Azure's diagnostic settings make of a record that Graph has: the record of its category in
//! a message of Event Hubs. The differences are those that were measured on one tenant
//! (rknightion/graph2otel) and that are seen in samples of vendors of parsers
//! (SEKOIA-IO/intake-formats, elastic/integrations). Where several ways of writing are known,
//! `number` picks among them.

mod parts;
mod sign_in;

use serde_json::{Value, json};
use vector_entra_id::{emulator::records::TENANT_ID, stream::Stream};

use self::{parts::*, sign_in::sign_in};

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
