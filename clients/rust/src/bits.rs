//! Sets of validators: the wire's bits, and SSZ bitlists, which have one more bit.
//!
//! Validator i is bit i % 8, lowest first, of byte i / 8. The highest bit that is set in an SSZ
//! bitlist is no validator: it marks the length.

use alloc::vec::Vec;

/// The wire's bits of these validators.
pub fn from_validators(validators: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut bits = Vec::new();
    for validator in validators {
        let byte = validator as usize / 8;
        if byte >= bits.len() {
            bits.resize(byte + 1, 0);
        }
        bits[byte] |= 1 << (validator % 8);
    }
    bits
}

/// The validators of the wire's bits, ascending.
pub fn validators(bits: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let numbers = (0u32..).take(bits.len() * 8);
    numbers.filter(|index| bits[*index as usize / 8] & (1 << (index % 8)) != 0)
}

/// The wire's bits of an SSZ bitlist, without its length bit.
///
/// `None` when no bit is set in the last byte: that is no bitlist.
pub fn from_bitlist(bitlist: &[u8]) -> Option<Vec<u8>> {
    let last = bitlist.last().filter(|last| **last != 0)?;
    let mut bits = bitlist.to_vec();
    if let Some(byte) = bits.last_mut() {
        *byte ^= 1 << (7 - last.leading_zeros());
    }
    Some(bits)
}

/// The SSZ bitlist of `length` validators with these bits set; bits beyond are left out.
pub fn to_bitlist(bits: &[u8], length: usize) -> Vec<u8> {
    let mut bitlist: Vec<u8> = bits.iter().copied().take(length / 8 + 1).collect();
    bitlist.resize(length / 8 + 1, 0);
    let mark = 1u8 << (length % 8);
    bitlist[length / 8] = (bitlist[length / 8] & (mark - 1)) | mark;
    bitlist
}
