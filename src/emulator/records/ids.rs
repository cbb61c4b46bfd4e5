//! Ids and chances that follow from a name and a number, the same in every build.

/// Spreads `x` over all 64 bits (the finaliser of SplitMix64, one to one).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number that stands for `label` and `n`.
pub fn hash(label: &str, n: u64) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(mix(n) ^ label.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The GUID that stands for `label` and `n`.
pub fn guid(label: &str, n: u64) -> String {
    let high = hash(label, n);
    guid_of(high, mix(high ^ n))
}

/// 128 bits as a GUID of version 4.
pub fn guid_of(high: u64, low: u64) -> String {
    let mut text = String::with_capacity(36);
    hex(high >> 32, 8, &mut text);
    text.push('-');
    hex(high >> 16, 4, &mut text);
    text.push('-');
    hex(0x4000 | high & 0x0fff, 4, &mut text);
    text.push('-');
    hex(0x8000 | (low >> 48) & 0x3fff, 4, &mut text);
    text.push('-');
    hex(low, 12, &mut text);
    text
}

/// The last `digits` hexadecimal digits of a number. A record has hundreds of them.
pub fn hex(number: u64, digits: u32, out: &mut String) {
    let digit = |n: u32| char::from(b"0123456789abcdef"[(number >> (4 * n)) as usize & 15]);
    out.extend((0..digits).rev().map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_one_of_version_four() {
        assert_eq!(
            guid_of(u64::MAX, u64::MAX),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(guid_of(1, 2), "00000000-0000-4001-8000-000000000002");
    }

    #[test]
    fn numbers_in_a_row_give_ids_without_likeness() {
        let [a, b] = [guid("person", 1), guid("person", 2)];
        assert!(
            a.split('-').zip(b.split('-')).all(|(a, b)| a != b),
            "{a} {b}"
        );
    }
}
