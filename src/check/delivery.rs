//! Vector's `http_server` source: whether it is there, and takes what is sent.
//!
//! No event is sent. `GET /ping` is answered by every such source, and a batch of nothing passes
//! its path, method and authentication (vector v0.57.0, src/sources/util/http/prelude.rs).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;

use super::Finding;
use crate::{
    config::Http,
    graph::{Network, Transport},
    outlet::{HttpOutlet, OutletError},
};

const AREA: &str = "delivery";
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn check(http: &Http) -> Vec<Finding> {
    let network = match Network::new(&http.route, PATIENCE) {
        Ok(network) => network,
        Err(error) => return vec![Finding::fail(AREA, error)],
    };
    // A query may hold what is not to be shown.
    let mut shown = http.url.clone();
    shown.set_query(None);
    let outlet = HttpOutlet::new(http.clone(), Arc::clone(&network) as _);
    match outlet.knock().await {
        Ok(()) => vec![match is_vector(http, &network).await {
            true => Finding::ok(AREA, format!("Vector's source at {shown} takes batches")),
            false => Finding::warn(
                AREA,
                format!(
                    "what listens at {shown} takes batches, and does not answer /ping as \
                     Vector's http_server source does; is it Vector, or a proxy before it?"
                ),
            ),
        }],
        Err(error @ (OutletError::Unreachable(_) | OutletError::Unknown(_))) => {
            vec![Finding::fail(
                AREA,
                format!("{error}: start Vector, or check outlet.http.url"),
            )]
        }
        Err(error) => vec![Finding::fail(AREA, error)],
    }
}

async fn is_vector(http: &Http, network: &Arc<Network>) -> bool {
    let mut url = http.url.clone();
    url.set_path("/ping");
    url.set_query(None);
    let Ok(request) = Request::get(url.as_str()).body(Bytes::new()) else {
        return false;
    };
    let reply = network.send(request).await;
    reply.is_ok_and(|reply| reply.body().starts_with(b"pong"))
}
