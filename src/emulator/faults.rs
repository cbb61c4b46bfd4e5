//! What goes wrong at Graph, on request.

use std::{collections::VecDeque, time::Duration};

use crate::stream::Stream;

/// One thing that goes wrong with one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 429, with `Retry-After` in the given form.
    Throttle(RetryAfter),
    /// Any other status with an error's code and message.
    Refuse {
        status: u16,
        code: &'static str,
        message: &'static str,
    },
    /// Status 200 with a page that is cut in the middle of its array.
    CutPage,
    /// An empty page that has a next one.
    EmptyPage,
    /// A page of half its rows; the rest follows.
    ShortPage,
    /// The page token is not known any more.
    ExpiredToken,
    /// The bearer token is refused before its time.
    RefusedBearer,
    /// A nextLink to another host.
    ForeignNextLink,
    /// The answer takes this long.
    Slow(Duration),
    /// An HTML page of a gateway.
    Gateway,
}

/// The forms of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryAfter {
    Absent,
    Seconds(u32),
    Decimal(f64),
    /// So many seconds from now, as an HTTP date.
    Date(u32),
}

/// Which requests go wrong: those that a test lists, and some at random.
#[derive(Debug, Default)]
pub struct Faults {
    queue: VecDeque<(Option<Stream>, Fault)>,
    /// The probability that a request goes wrong by itself.
    pub rate: f64,
}

impl Faults {
    /// The next request of a stream, or of any, meets this fault.
    pub fn push(&mut self, stream: Option<Stream>, fault: Fault) {
        self.queue.push_back((stream, fault));
    }

    /// The fault that a request meets.
    pub fn next(&mut self, rng: &mut fastrand::Rng, stream: Stream) -> Option<Fault> {
        let listed = self
            .queue
            .iter()
            .position(|(of, _)| of.is_none_or(|of| of == stream));
        if let Some(place) = listed {
            return self.queue.remove(place).map(|(_, fault)| fault);
        }
        (rng.f64() < self.rate).then(|| random(rng))
    }
}

fn random(rng: &mut fastrand::Rng) -> Fault {
    match rng.u8(..13) {
        0 => Fault::Throttle(RetryAfter::Absent),
        1 => Fault::Throttle(RetryAfter::Seconds(1)),
        2 => Fault::Throttle(RetryAfter::Decimal(0.728)),
        3 => Fault::Throttle(RetryAfter::Date(1)),
        4 => Fault::Refuse {
            status: 503,
            code: "serviceNotAvailable",
            message: "",
        },
        5 => Fault::CutPage,
        6 => Fault::EmptyPage,
        7 => Fault::ShortPage,
        8 => Fault::ExpiredToken,
        9 => Fault::RefusedBearer,
        10 => Fault::ForeignNextLink,
        11 => Fault::Slow(Duration::from_secs(3)),
        _ => Fault::Gateway,
    }
}
