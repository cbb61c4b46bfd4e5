//! A table of networks from an MMDB file: as Vector's `geoip` shows it, flat and in one language, or
//! as `mmdb` does, as it stands in the file.

use std::{net::IpAddr, path::Path};

use maxminddb::Reader;
use vrl::value::{KeyString, ObjectMap, Value};

use super::{Lookup, TableError, read};

pub struct AddressTable {
    reader: Reader<Vec<u8>>,
    shape: Shape,
}

/// What a row looks like.
#[derive(Debug)]
enum Shape {
    AsItStands,
    City { locale: String },
    Isp,
    ConnectionType,
    AnonymousIp,
}

impl std::fmt::Debug for AddressTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AddressTable").field(&self.shape).finish()
    }
}

const ANONYMOUS: [&str; 6] = [
    "is_anonymous",
    "is_anonymous_vpn",
    "is_hosting_provider",
    "is_public_proxy",
    "is_residential_proxy",
    "is_tor_exit_node",
];

const ISP: [&str; 4] = [
    "autonomous_system_number",
    "autonomous_system_organization",
    "isp",
    "organization",
];

impl AddressTable {
    /// A `geoip` table.
    ///
    /// # Errors
    /// [`TableError`] when the file is no MMDB, or a database that `geoip` does not know.
    pub fn geoip(path: &Path, locale: &str) -> Result<Self, TableError> {
        let mut table = Self::mmdb(path)?;
        table.shape = match table.reader.metadata.database_type.as_str() {
            "GeoLite2-City" | "GeoIP2-City" => Shape::City {
                locale: locale.into(),
            },
            "GeoLite2-ASN" | "GeoIP2-ISP" => Shape::Isp,
            "GeoIP2-Connection-Type" => Shape::ConnectionType,
            "GeoIP2-Anonymous-IP" => Shape::AnonymousIp,
            other => {
                return Err(TableError::Unsupported {
                    path: path.display().to_string(),
                    database: other.into(),
                });
            }
        };
        Ok(table)
    }

    /// An `mmdb` table.
    ///
    /// # Errors
    /// [`TableError`] when the file is no MMDB.
    pub fn mmdb(path: &Path) -> Result<Self, TableError> {
        let reader = Reader::from_source(read(path)?).map_err(|error| TableError::Mmdb {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            reader,
            shape: Shape::AsItStands,
        })
    }

    /// The row of the network that holds the address; none for an address that is in no network.
    pub fn find(&self, lookup: &Lookup) -> Result<Option<ObjectMap>, String> {
        let address = match lookup.condition.values().next() {
            Some(Value::Bytes(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => return Err("IP condition must be specified".into()),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|error| format!("Invalid address: {error}"))?;
        let Ok(found) = self.reader.lookup(address) else {
            return Ok(None);
        };
        let network = found.network().map(|network| network.to_string());
        let Ok(Some(row)) = found.decode::<serde_json::Value>() else {
            return Ok(None);
        };
        let row = Value::from(row);
        if let Shape::AsItStands = self.shape {
            return Ok(row.into_object().map(|row| paths(row, lookup.select)));
        }
        let mut flat = self.flat(&row);
        flat.insert("network".into(), network.map_or(Value::Null, Value::from));
        let wanted = flat
            .into_iter()
            .filter(|(key, _)| lookup.wants(key.as_str()));
        Ok(Some(wanted.collect()))
    }

    fn flat(&self, row: &Value) -> ObjectMap {
        let at = |path: &str| within(row, path);
        let named = |names: &[&str]| {
            names
                .iter()
                .map(|name| (KeyString::from(*name), at(name)))
                .collect()
        };
        match &self.shape {
            Shape::AsItStands => ObjectMap::new(),
            Shape::Isp => named(&ISP),
            Shape::ConnectionType => named(&["connection_type"]),
            Shape::AnonymousIp => named(&ANONYMOUS),
            Shape::City { locale } => {
                let region = last(&at("subdivisions"));
                let name = format!("names.\"{locale}\"");
                [
                    ("city_name", at(&format!("city.{name}"))),
                    ("continent_code", at("continent.code")),
                    ("country_code", at("country.iso_code")),
                    ("country_name", at(&format!("country.{name}"))),
                    ("region_code", within(&region, "iso_code")),
                    ("region_name", within(&region, &name)),
                    ("timezone", at("location.time_zone")),
                    ("latitude", at("location.latitude")),
                    ("longitude", at("location.longitude")),
                    ("metro_code", at("location.metro_code")),
                    ("postal_code", at("postal.code")),
                ]
                .into_iter()
                .map(|(key, value)| (KeyString::from(key), value))
                .collect()
            }
        }
    }
}

/// What stands at the path; null where nothing does.
fn within(value: &Value, path: &str) -> Value {
    vrl::path::parse_value_path(path)
        .ok()
        .and_then(|path| value.get(&path).cloned())
        .unwrap_or(Value::Null)
}

fn last(list: &Value) -> Value {
    list.as_array()
        .and_then(|list| list.last().cloned())
        .unwrap_or(Value::Null)
}

/// What stands at the selected paths; the whole row when none are named.
fn paths(row: ObjectMap, select: Option<&[Value]>) -> ObjectMap {
    let Some(select) = select else {
        return row;
    };
    let row = Value::Object(row);
    let mut kept = Value::Object(ObjectMap::new());
    for name in select.iter().filter_map(Value::as_str) {
        if let Ok(path) = vrl::path::parse_value_path(&name) {
            let value = row.get(&path).cloned().unwrap_or(Value::Null);
            kept.insert(&path, value);
        }
    }
    kept.into_object().unwrap_or_default()
}
