//! SHA-256 digests and their hexadecimal form.

use std::{fmt::Write as _, io};

use sha2::{Digest as _, Sha256};

/// Two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

/// A SHA-256 digest in the making.
///
/// It is also a writer, so that [`io::copy`] can hash a file.
#[derive(Clone, Debug, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// The digest of no bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes to what is hashed.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest as 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        hex(&self.bytes())
    }

    /// The digest itself.
    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl io::Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut digest = Digest::new();
        digest.update("a");
        io::copy(&mut &b"bc"[..], &mut digest).unwrap();
        assert_eq!(hex(&digest.clone().bytes()), OF_ABC);
        assert_eq!(digest.hex(), OF_ABC);
    }

    #[test]
    fn every_byte_takes_two_digits() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
        assert_eq!(hex(&[]), "");
    }
}
