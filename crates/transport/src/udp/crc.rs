//! The datagram checksum: reflected CRC-32 (polynomial EDB88320) without the final inversion, so the bitwise inverse of
//! the usual one (transports.md, section 3.1).

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0u32;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the loop ends at the table's length")]
        {
            table[byte as usize] = value;
        }
        byte += 1;
    }
    table
}

static TABLE: [u32; 256] = table();

/// The checksum's state before the first byte.
pub(super) const START: u32 = u32::MAX;

/// The checksum's state after `bytes`.
pub(super) fn update(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        let [low, ..] = state.to_le_bytes();
        #[expect(clippy::indexing_slicing, reason = "a byte cannot leave a table of 256")]
        {
            TABLE[usize::from(low ^ byte)] ^ (state >> 8)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_inverse_of_the_usual_crc_32() {
        assert_eq!(!update(START, b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn goes_on_over_split_input() {
        assert_eq!(update(update(START, b"1234"), b"56789"), update(START, b"123456789"));
    }
}
