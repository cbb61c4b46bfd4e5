//! Writes small MMDB files, for tables of addresses in tests.
//!
//! The format is that of MaxMind's specification (MaxMind DB File Format, version 2.0): a binary tree
//! over the bits of an address, the data, and metadata at the end.

use std::net::IpAddr;

use serde_json::{Value, json};

/// A database of this type with a row for each network.
pub fn database(database_type: &str, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut tree = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (network, row) in networks {
        let offset = data.len();
        encode(&mut data, row);
        insert(&mut tree, &bits(network), offset);
    }
    let mut file = Vec::new();
    for node in &tree {
        for record in node {
            let number = match record {
                Record::Nothing => tree.len(),
                Record::Node(node) => *node,
                Record::Data(offset) => tree.len() + 16 + offset,
            };
            file.extend(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
        }
    }
    file.extend([0; 16]);
    file.extend(&data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    encode(
        &mut file,
        &json!({
            "binary_format_major_version": 2,
            "binary_format_minor_version": 0,
            "build_epoch": 1_795_000_000,
            "database_type": database_type,
            "description": {"en": "made for a test"},
            "ip_version": 6,
            "languages": ["en"],
            "node_count": tree.len(),
            "record_size": 24,
        }),
    );
    file
}

#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The bits of a network's prefix; IPv4 lies within `::/96`.
fn bits(network: &str) -> Vec<usize> {
    let (address, length) = network.split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    let (bits, length) = match address.parse().unwrap() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 96 + length),
        IpAddr::V6(v6) => (v6.to_bits(), length),
    };
    (0..length)
        .map(|place| usize::from(bits >> (127 - place) & 1 == 1))
        .collect()
}

fn insert(tree: &mut Vec<[Record; 2]>, bits: &[usize], offset: usize) {
    let (last, before) = bits.split_last().unwrap();
    let mut at = 0;
    for bit in before {
        at = match tree[at][*bit] {
            Record::Node(next) => next,
            _ => {
                tree.push([Record::Nothing; 2]);
                let next = tree.len() - 1;
                tree[at][*bit] = Record::Node(next);
                next
            }
        };
    }
    tree[at][*last] = Record::Data(offset);
}

fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => {
            control(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        Value::Number(number) if number.is_f64() => {
            control(out, 3, 8);
            out.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Value::Number(number) => {
            let bytes = u32::try_from(number.as_u64().unwrap())
                .unwrap()
                .to_be_bytes();
            control(out, 6, 4);
            out.extend(bytes);
        }
        Value::Bool(flag) => control(out, 14, usize::from(*flag)),
        Value::Array(list) => {
            control(out, 11, list.len());
            list.iter().for_each(|item| encode(out, item));
        }
        Value::Object(map) => {
            control(out, 7, map.len());
            for (key, value) in map {
                encode(out, &json!(key));
                encode(out, value);
            }
        }
        Value::Null => panic!("the format has no null"),
    }
}

fn control(out: &mut Vec<u8>, sort: u8, size: usize) {
    let (short, more) = match size {
        0..29 => (size, None),
        _ => (29, Some(size - 29)),
    };
    let short = u8::try_from(short).unwrap();
    if sort < 8 {
        out.push(sort << 5 | short);
    } else {
        out.extend([short, sort - 7]);
    }
    if let Some(more) = more {
        out.push(u8::try_from(more).unwrap());
    }
}
