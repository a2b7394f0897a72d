//! What lies under the name of a file where a download went wrong: a pointer of git LFS, or a web page.

use std::{fmt, fs::File, io::Read, path::Path};

/// Bytes that show which it is.
const START: usize = 64;

/// A file that stands for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// Three lines of text that name the file, which `git lfs` would have fetched.
    LfsPointer,
    /// HTML, such as a page that asks for a login.
    WebPage,
}

impl StandIn {
    /// What a file is that begins with these bytes; `None` for everything else.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii_start();
        if bytes.starts_with(b"version https://git-lfs") {
            return Some(Self::LfsPointer);
        }
        let marks: [&[u8]; 3] = [b"<!doctype", b"<html", b"<?xml"];
        let starts = |mark: &&[u8]| {
            let start = bytes.get(..mark.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
        };
        marks.iter().any(starts).then_some(Self::WebPage)
    }

    /// As [`StandIn::of`] of a file's first bytes; `None` as well for a file that cannot be read.
    pub fn at(path: &Path) -> Option<Self> {
        let mut start = Vec::new();
        let file = File::open(path).ok()?;
        file.take(START as u64).read_to_end(&mut start).ok()?;
        Self::of(&start)
    }

    /// What the user may try.
    pub fn hint(self) -> &'static str {
        match self {
            Self::LfsPointer => "run `git lfs pull` in its folder, or download the file itself",
            Self::WebPage => {
                "download the file itself; a hub asks for a login where a model is gated"
            }
        }
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LfsPointer => "a pointer of git LFS",
            Self::WebPage => "a web page",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_one_and_what_does_not() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        assert_eq!(StandIn::of(pointer), Some(StandIn::LfsPointer));
        for page in [
            &b"<!DOCTYPE html>"[..],
            b"\n <html lang=\"en\">",
            b"<?xml version",
        ] {
            assert_eq!(StandIn::of(page), Some(StandIn::WebPage));
        }
        // The first byte of a safetensors file is that of a length, and may be any.
        for other in [
            &b""[..],
            b"<",
            b"<\x01\0\0\0\0\0\0{}",
            b"{\"version\": 1}",
            b"version 2",
        ] {
            assert_eq!(StandIn::of(other), None, "{other:?}");
        }
    }

    #[test]
    fn files() {
        let path = std::env::temp_dir().join(format!("stand-in-{}", std::process::id()));
        std::fs::write(&path, "<!doctype html><title>Sign in</title>").unwrap();
        assert_eq!(StandIn::at(&path), Some(StandIn::WebPage));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(StandIn::at(&path), None);
    }
}
