//! Z85 (RFC 32): 32 octets as 40 printable characters.

use alloc::string::String;

/// Each stands for its place, 0 to 84.
const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The characters of a key.
pub(super) const KEY_CHARACTERS: usize = 40;

/// The 40 characters for a key, four octets to five of them, the most significant first.
pub(super) fn encode(key: &[u8; 32]) -> String {
    let mut text = String::with_capacity(KEY_CHARACTERS);
    for chunk in key.as_chunks::<4>().0 {
        let mut rest = u32::from_be_bytes(*chunk);
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = rest % 85;
            rest /= 85;
        }
        text.extend(digits.iter().filter_map(|digit| {
            let place = usize::try_from(*digit).ok()?;
            DIGITS.get(place).copied().map(char::from)
        }));
    }
    text
}

/// The key with these characters; `None` when they are not 40 of Z85, or five of them stand for more than four octets hold.
pub(super) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != KEY_CHARACTERS {
        return None;
    }
    let mut key = [0; 32];
    for (octets, chunk) in key
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(text.as_chunks::<5>().0)
    {
        let mut value = 0_u32;
        for character in chunk {
            let place = DIGITS.iter().position(|digit| digit == character)?;
            value = value
                .checked_mul(85)?
                .checked_add(u32::try_from(place).ok()?)?;
        }
        *octets = value.to_be_bytes();
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification() {
        // RFC 32 "Test Case" has eight octets; the zeros fill the key up.
        let mut key = [0; 32];
        key[..8].copy_from_slice(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
        let text = encode(&key);
        assert_eq!(text, "HelloWorld000000000000000000000000000000");
        assert_eq!(decode(text.as_bytes()), Some(key));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let largest = [255; 32];
        let text = encode(&largest);
        assert_eq!(text, "%nSc0".repeat(8));
        assert_eq!(decode(text.as_bytes()), Some(largest));
        for wrong in [
            "",
            "HelloWorld00000000000000000000000000000",
            "HelloWorld0000000000000000000000000000000",
            "HelloWorld0000000000000000000000000000 0",
            "HelloWorld0000000000000000000000000000\"0",
            "%nSc1%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0",
            "#####%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0",
        ] {
            assert_eq!(decode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
