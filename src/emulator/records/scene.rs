//! One record's scene: who acts, on whom, from where.

use std::{borrow::Cow, cell::OnceCell};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;

use super::{
    cast::{self, Person, Place, at},
    ids::{self, guid, guid_of, hash, mix},
    machines::{self, App, Device, Principal},
};

/// Who and what takes part in one record. The same draw, stream, time and ordinal give the same
/// scene.
pub struct Scene {
    /// All that varies from record to record follows from it.
    pub seed: u64,
    at: DateTime<Utc>,
    pub ordinal: u64,
    pub user: Person,
    // What not every template asks for is made when it is asked for.
    target: OnceCell<Person>,
    admin: OnceCell<Person>,
    device: OnceCell<Device>,
    target_device: OnceCell<Device>,
    principal: OnceCell<Principal>,
    principal_number: u64,
    pub web: &'static App,
    pub client: &'static App,
    pub home: &'static Place,
    pub away: &'static Place,
    pub cloud: &'static Place,
}

/// What a placeholder stands for.
pub enum Slot {
    /// A value of the scene.
    Field(Field),
    /// A GUID of this record alone; one label, one GUID.
    Guid(u64),
    /// So many lower-case hexadecimal digits of this record alone.
    Hex(usize, u64),
    /// A whole number from a range, both ends included.
    Number(i64, i64, u64),
    /// One of several texts.
    Pick(Vec<String>, u64),
    /// The record's time, so many seconds later.
    Time(fn(DateTime<Utc>, &mut Rng) -> String, i64),
}

/// How a value is read off a scene.
pub type Field = fn(&Scene) -> Cow<'_, str>;

impl Scene {
    /// The scene of record `ordinal` of the stream called `stream`. `person` fixes who its user
    /// and its service principal are, for lists that hold each of them once.
    pub fn new(
        draw: u64,
        stream: &str,
        at_time: DateTime<Utc>,
        ordinal: u64,
        person: Option<u64>,
    ) -> Self {
        let seed = mix(draw ^ hash(stream, ordinal));
        let of = |label: &str| hash(label, seed);
        let user = cast::person(person.unwrap_or_else(|| of("user") % cast::STAFF_COUNT));
        Self {
            at: at_time,
            ordinal,
            target: OnceCell::new(),
            admin: OnceCell::new(),
            device: OnceCell::new(),
            target_device: OnceCell::new(),
            principal: OnceCell::new(),
            principal_number: person.unwrap_or_else(|| of("principal") % machines::PRINCIPAL_COUNT),
            web: at(machines::WEB, of("web")),
            client: at(machines::CLIENTS, of("client")),
            home: user.home,
            away: at(cast::AWAY, of("away")),
            cloud: at(cast::CLOUDS, of("cloud")),
            user,
            seed,
        }
    }

    /// Who is acted on; never the user.
    pub fn target(&self) -> &Person {
        let n = (self.user.n % cast::STAFF_COUNT) + 1 + self.of("target") % 200;
        self.target
            .get_or_init(|| cast::person(n % cast::STAFF_COUNT))
    }

    /// Who administers.
    pub fn admin(&self) -> &Person {
        self.admin.get_or_init(|| cast::admin(self.of("admin")))
    }

    /// What the user signs in with.
    pub fn device(&self) -> &Device {
        self.device.get_or_init(|| machines::device(&self.user))
    }

    /// A device of the target that the tenant knows.
    pub fn target_device(&self) -> &Device {
        self.target_device
            .get_or_init(|| machines::registered_device(self.target()))
    }

    /// The workload that signs in or is acted on.
    pub fn principal(&self) -> &Principal {
        self.principal
            .get_or_init(|| machines::principal(self.principal_number))
    }

    /// Writes what `slot` stands for in this scene.
    pub fn write(&self, slot: &Slot, out: &mut String) {
        match slot {
            Slot::Field(field) => out.push_str(&field(self)),
            Slot::Guid(label) => out.push_str(&guid("", self.seed ^ label)),
            Slot::Hex(digits, label) => {
                let end = out.len() + digits;
                let mut block = self.seed ^ label;
                while out.len() < end {
                    block = mix(block);
                    ids::hex(block, 16, out);
                }
                out.truncate(end);
            }
            Slot::Number(low, high, label) => {
                let number = Rng::with_seed(self.seed ^ label).i64(low..=high);
                out.push_str(&number.to_string());
            }
            Slot::Pick(choices, label) => {
                let choice = mix(self.seed ^ label) % choices.len().max(1) as u64;
                if let Some(choice) = choices.get(choice as usize) {
                    out.push_str(choice);
                }
            }
            Slot::Time(write, offset) => {
                let by = TimeDelta::try_seconds(*offset);
                let at = by
                    .and_then(|by| self.at.checked_add_signed(by))
                    .unwrap_or(self.at);
                // Times that lie apart have fractions of their own.
                let mut rng = Rng::with_seed(hash("time", self.seed ^ offset.cast_unsigned()));
                out.push_str(&write(at, &mut rng));
            }
        }
    }

    /// A number of this record alone; one label, one number.
    pub fn of(&self, label: &str) -> u64 {
        hash(label, self.seed)
    }

    /// The user's security identifier: the authority of Entra ID and the object id's 128 bits.
    pub fn sid(&self) -> String {
        let (high, low) = (hash("sid", self.user.n), hash("sid's end", self.user.n));
        let [a, b, c, d] = [high >> 32, high & 0xffff_ffff, low >> 32, low & 0xffff_ffff];
        format!("S-1-12-1-{a}-{b}-{c}-{d}")
    }

    /// The five characters of the shard in a directoryAudit's id.
    pub fn shard(&self) -> String {
        const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let shard = self.of("shard");
        (0..5)
            .map(|n| char::from(DIGITS[((shard >> (8 * n)) % 36) as usize]))
            .collect()
    }

    /// A sign-in's id. Request ids end in a zero byte.
    pub fn request(&self) -> (u64, u64) {
        (self.of("request"), self.of("request's end") & !0xff)
    }

    /// Graph (signIn resource): the sign-in's id in URL-safe base64; its first three groups stand
    /// in little-endian order, as .NET writes a GUID's bytes.
    pub fn token_identifier(&self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (high, low) = self.request();
        let text = guid_of(high, low).replace('-', "");
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let bits = order.iter().fold(0u128, |bits, byte| {
            // A GUID without dashes is 32 hexadecimal digits: two for each of the 16 bytes.
            (bits << 8) | u128::from_str_radix(&text[byte * 2..byte * 2 + 2], 16).unwrap_or(0)
        });
        let digit = |n: u32| {
            let six = if n < 21 {
                bits >> (122 - 6 * n)
            } else {
                bits << 4
            };
            char::from(DIGITS[(six & 63) as usize])
        };
        (0..22).map(digit).collect()
    }
}
