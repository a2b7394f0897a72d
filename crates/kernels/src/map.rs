//! Read-only memory maps of files, behind a safe type.

use std::{fs::File, io, ops::Deref};

use memmap2::Mmap;

/// A file mapped read-only; dereferences to its bytes.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
}

/// Maps the whole of `file`; fails on an empty file on some systems, and wherever the system refuses.
///
/// Bytes that another process overwrites afterwards show through; a file that is cut short afterwards ends this
/// process with a bus error when the lost part is read. Replacing a file by renaming another over it does neither.
pub fn map_file(file: &File) -> io::Result<MappedFile> {
    // SAFETY: the map is private to this value and never written through. What remains is a file changed in place by
    // somebody else, which every memory-mapping reader accepts: the bytes are only read as plain numbers after every
    // length was checked against the map, so changed bytes give wrong numbers, and a cut file a signal, not
    // a dangling pointer.
    let map = unsafe { Mmap::map(file)? };
    Ok(MappedFile { map })
}

impl MappedFile {
    /// Tells the system that the bytes read so far are not needed soon; they come back from the file when read again.
    /// Memory use falls by what was resident. A hint: nothing happens where the system has no such call.
    pub fn release(&self) {
        #[cfg(unix)]
        {
            // SAFETY: dropping resident pages of a read-only map of a file loses nothing: the next read faults
            // the same bytes in from the file again, at the same addresses, so no reference is invalidated.
            let _ = unsafe {
                self.map
                    .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
            };
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
