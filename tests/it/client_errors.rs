//! Each way in which Graph fails, as the client tells it apart.

use std::{sync::Arc, time::Duration};

use url::Url;
use vector_entra_id::{
    emulator::{Fault, RetryAfter},
    graph::{Answer, Client, Cloud, GraphError, Network, Route, Tokens, query},
    stream::Stream,
};

use crate::common::{Emulated, app, secret_in};

fn client(emulated: &Emulated, timeout: Duration) -> Client {
    let ca = emulated.path("ca.pem");
    let cloud = Cloud::custom(
        emulated.server.url.clone(),
        emulated.server.url.clone(),
        Some(ca.clone()),
    );
    let route = Route {
        ca_file: Some(ca),
        ..Route::default()
    };
    let network = Network::new(&route, timeout).unwrap();
    let tokens = Tokens::new(
        app().tenant_id,
        secret_in(emulated.path("secret")),
        cloud.clone(),
        Arc::clone(&network) as _,
    );
    Client::new(cloud, tokens, network)
}

async fn ask(client: &Client, stream: Stream) -> Answer {
    let url = query::first_page(client.cloud(), stream, None, 5);
    client.page(stream, &url, false).await
}

async fn meets(fault: Fault) -> GraphError {
    let emulated = Emulated::start(40, 1).await;
    emulated.server.service().faults.push(None, fault);
    let client = client(&emulated, Duration::from_secs(30));
    ask(&client, Stream::SignIns).await.outcome.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_with_its_next_link_and_graph_s_clock() {
    let emulated = Emulated::start(200, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    let answer = ask(&client, Stream::SignIns).await;
    assert!(answer.date.is_some());
    let page = answer.outcome.unwrap();
    assert_eq!(page.records.len(), 5);
    let next = page.next.unwrap();
    let second = client
        .page(Stream::SignIns, &next, true)
        .await
        .outcome
        .unwrap();
    assert_ne!(second.records[0].id(), page.records[0].id());
    assert_eq!(emulated.server.service().served.tokens, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_retry_after_is_honoured() {
    for (form, low, high) in [
        (RetryAfter::Seconds(10), 10.0, 10.0),
        (RetryAfter::Decimal(2.128), 2.128, 2.128),
        (RetryAfter::Date(30), 29.0, 31.0),
    ] {
        let error = meets(Fault::Throttle(form)).await;
        let GraphError::Throttled {
            retry_after: Some(wait),
        } = error
        else {
            panic!("{form:?} gives {error}");
        };
        let seconds = wait.as_secs_f64();
        assert!((low..=high).contains(&seconds), "{form:?} gives {seconds}");
    }
    let error = meets(Fault::Throttle(RetryAfter::Absent)).await;
    assert!(
        matches!(error, GraphError::Throttled { retry_after: None }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_page_a_gateway_and_a_foreign_link_are_failed_pages() {
    let error = meets(Fault::CutPage).await;
    assert!(matches!(error, GraphError::BrokenPage(_)), "{error}");
    let error = meets(Fault::Gateway).await;
    assert!(
        matches!(error, GraphError::Server { status: 502, .. }),
        "{error}"
    );
    let emulated = Emulated::start(40, 1).await;
    emulated
        .server
        .service()
        .faults
        .push(None, Fault::ForeignNextLink);
    let client = client(&emulated, Duration::from_secs(30));
    let error = ask(&client, Stream::RiskyUsers).await.outcome.unwrap_err();
    assert!(
        matches!(error, GraphError::ForeignNextLink { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_leaves_for_another_host() {
    let emulated = Emulated::start(40, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    for url in [
        "https://localhost:1/beta/x",
        "http://localhost/x",
        "https://graph.example/x",
    ] {
        let url = Url::parse(url).unwrap();
        let error = client
            .page(Stream::SignIns, &url, true)
            .await
            .outcome
            .unwrap_err();
        assert!(
            matches!(error, GraphError::ForeignNextLink { .. }),
            "{error}"
        );
    }
    assert_eq!(emulated.server.service().served.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_that_is_refused_before_its_time_is_replaced() {
    let emulated = Emulated::start(40, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    let service = || emulated.server.service();
    service().faults.push(None, Fault::RefusedBearer);
    let error = ask(&client, Stream::SignIns).await.outcome.unwrap_err();
    assert!(matches!(error, GraphError::TokenRefused { .. }), "{error}");
    assert!(!client.has_token());
    assert!(ask(&client, Stream::SignIns).await.outcome.is_ok());
    assert_eq!(service().served.tokens, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_expired_asks_for_the_window_again() {
    let emulated = Emulated::start(200, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    let next = ask(&client, Stream::SignIns)
        .await
        .outcome
        .unwrap()
        .next
        .unwrap();
    emulated
        .server
        .service()
        .faults
        .push(None, Fault::ExpiredToken);
    let error = client
        .page(Stream::SignIns, &next, true)
        .await
        .outcome
        .unwrap_err();
    assert!(matches!(error, GraphError::PageTokenExpired), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_what_is_missing() {
    let emulated = Emulated::start(40, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    emulated.server.service().app.permissions.clear();
    for stream in Stream::ALL {
        let error = ask(&client, stream).await.outcome.unwrap_err().to_string();
        assert!(
            error.contains(stream.entry().permission),
            "{stream}: {error}"
        );
        assert!(error.contains("admin consent"), "{stream}: {error}");
    }
    for (status, code, says) in [
        (
            403,
            "Authentication_ApplicationHasNoDirectoryReadAccess",
            "Directory.Read.All",
        ),
        (403, "insufficient_claims", "conditional access"),
        (404, "UnknownError", "does not offer"),
    ] {
        let fault = Fault::Refuse {
            status,
            code,
            message: "",
        };
        let error = meets(fault).await.to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_page_says_what_is_allowed() {
    let emulated = Emulated::start(40, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    let url = query::first_page(client.cloud(), Stream::RiskDetections, None, 1000);
    let error = client
        .page(Stream::RiskDetections, &url, false)
        .await
        .outcome
        .unwrap_err();
    assert!(
        matches!(error, GraphError::PageTooLarge { max: 500 }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_in_time_is_told_as_that() {
    let emulated = Emulated::start(40, 1).await;
    let slow = Fault::Slow(Duration::from_secs(20));
    emulated.server.service().faults.push(None, slow);
    let client = client(&emulated, Duration::from_millis(500));
    let error = ask(&client, Stream::SignIns)
        .await
        .outcome
        .unwrap_err()
        .to_string();
    assert!(error.contains("did not answer within"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_and_no_debug_text_shows_a_token_or_a_secret() {
    let emulated = Emulated::start(40, 1).await;
    let client = client(&emulated, Duration::from_secs(30));
    let next = ask(&client, Stream::SignIns)
        .await
        .outcome
        .unwrap()
        .next
        .unwrap();
    emulated
        .server
        .service()
        .faults
        .push(None, Fault::ExpiredToken);
    let error = client
        .page(Stream::SignIns, &next, true)
        .await
        .outcome
        .unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(
        !said.contains("eyJ") && !said.contains(crate::common::SECRET),
        "{said}"
    );
}
