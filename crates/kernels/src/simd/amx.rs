//! Tiles of AMX: 16 rows by 16 columns of `f32` sums, fed with pairs of bf16, or of integer sums, fed with quadruples of bytes.
//!
//! ```text
//! one step of 32 values (64 bytes):   c[0..32][0..32] += a[0..32][32 values] * b[32 values][0..32]
//!
//!              b0: b[0..16 words][0..16]      b1: b[0..16 words][16..32]
//! a0: rows 0..16       c00 += a0 b0                c01 += a0 b1
//! a1: rows 16..32      c10 += a1 b0                c11 += a1 b1
//! ```
//! where a word of `a` is a pair of values of one row, and word row `w` of `b` holds the pairs `2 w, 2 w + 1` of all columns; of bytes four each.
//!
//! 1. Four tiles of sums for four of operands: each loaded operand is used twice.
//! 2. The compiler knows no tiles: it never holds a value in one, so their contents live on from one `asm!` block to the next as long as
//!    nothing else on this thread uses tiles. All blocks of one product are issued by one function ([`crate::gemm`]).
//! 3. The kernel lends the tile registers on request, once a process; `ldtilecfg` sets their shape on each thread and for each task,
//!    `tilerelease` ends it, so that a switch of threads need not save them.

use std::{arch::asm, sync::OnceLock};

/// Rows and columns of the sums of one step.
pub(crate) const BLOCK: usize = 32;

/// Words of a row in one step.
pub(crate) const STEP: usize = 16;

/// The shape of all eight tiles: 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

static SHAPES: Shapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Shapes(bytes)
};

/// Set by tests that execute the instructions in software.
static EMULATED: OnceLock<()> = OnceLock::new();

/// From now on AMX counts as available in this process, for tests that execute its instructions in software.
///
/// # Safety
/// Every AMX instruction is executed by somebody: by a handler of the signal that it raises on a processor without it.
pub unsafe fn assume_amx() {
    EMULATED.get_or_init(|| ());
}

/// Whether the processor has AMX with bf16 and bytes and the kernel lends it to this process.
pub(crate) fn is_available() -> bool {
    static LENT: OnceLock<bool> = OnceLock::new();
    EMULATED.get().is_some() || *LENT.get_or_init(|| has_instructions() && request())
}

fn has_instructions() -> bool {
    let all = 1 << 22 | 1 << 24 | 1 << 25;
    let largest = std::arch::x86_64::__cpuid(0).eax;
    largest >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & all == all
}

/// Asks Linux for the tile data (`ARCH_REQ_XCOMP_PERM` of state component 18).
#[cfg(target_os = "linux")]
fn request() -> bool {
    const ARCH_REQ_XCOMP_PERM: i32 = 0x1023;
    const TILE_DATA: u64 = 18;
    // SAFETY: this call reads two numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn request() -> bool {
    false
}

/// Tiles configured on this thread until it is dropped.
pub(crate) struct Tiles(());

impl Tiles {
    /// # Safety
    /// AMX is available, and no other `Tiles` lives on this thread.
    pub(crate) unsafe fn configure() -> Self {
        // SAFETY: the caller's promise; the block reads the 64 bytes of the shapes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, preserves_flags))
        };
        Self(())
    }

    /// Zero sums.
    pub(crate) fn zero(&mut self) {
        // SAFETY: tiles are configured.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem, preserves_flags)
            );
        }
    }

    /// Sums of bytes, each row at the same integers.
    pub(crate) fn start(&mut self, starts: &[f32; BLOCK]) {
        // SAFETY: tiles are configured; with a stride of 0 every row is the same 64 bytes.
        unsafe {
            asm!(
                "tileloadd tmm0, [{starts} + {row}*1]",
                "tileloadd tmm1, [{starts} + {row}*1 + 64]",
                "tileloadd tmm2, [{starts} + {row}*1]",
                "tileloadd tmm3, [{starts} + {row}*1 + 64]",
                starts = in(reg) starts.as_ptr(), row = in(reg) 0_usize,
                options(nostack, readonly, preserves_flags)
            );
        }
    }

    /// One step on all 32 rows, of pairs of bf16 or of bytes.
    ///
    /// # Safety
    /// 32 rows of [`STEP`] words, `stride` words apart, are readable at `a`, and [`STEP`] rows of [`BLOCK`] words at `b`.
    #[inline(always)]
    pub(crate) unsafe fn step<const BYTES: bool>(
        &mut self,
        a: *const f32,
        stride: usize,
        b: *const f32,
    ) {
        macro_rules! lower {
            ($dot:literal) => {
                asm!(
                    "tileloadd tmm5, [{lower} + {stride}*1]",
                    concat!($dot, " tmm2, tmm5, tmm6"),
                    concat!($dot, " tmm3, tmm5, tmm7"),
                    lower = in(reg) a.add(16 * stride), stride = in(reg) 4 * stride,
                    options(nostack, readonly, preserves_flags)
                )
            };
        }
        // SAFETY: tiles are configured; the caller's promise for the memory. The upper half leaves `b` in its tiles.
        unsafe {
            self.half_step::<BYTES>(a, stride, b);
            if BYTES {
                lower!("tdpbusd")
            } else {
                lower!("tdpbf16ps")
            }
        }
    }

    /// One step on the first 16 rows.
    ///
    /// # Safety
    /// As [`Tiles::step`], with 16 rows at `a`.
    #[inline(always)]
    pub(crate) unsafe fn half_step<const BYTES: bool>(
        &mut self,
        a: *const f32,
        stride: usize,
        b: *const f32,
    ) {
        macro_rules! upper {
            ($dot:literal) => {
                asm!(
                    "tileloadd tmm4, [{a} + {stride}*1]",
                    "tileloadd tmm6, [{b} + {row}*1]",
                    "tileloadd tmm7, [{b} + {row}*1 + 64]",
                    concat!($dot, " tmm0, tmm4, tmm6"),
                    concat!($dot, " tmm1, tmm4, tmm7"),
                    a = in(reg) a, stride = in(reg) 4 * stride, b = in(reg) b, row = in(reg) 4 * BLOCK,
                    options(nostack, readonly, preserves_flags)
                )
            };
        }
        // SAFETY: tiles are configured; the caller's promise for the memory.
        unsafe {
            if BYTES {
                upper!("tdpbusd")
            } else {
                upper!("tdpbf16ps")
            }
        }
    }

    /// Writes the sums as 32 rows of 32.
    pub(crate) fn store(&mut self, sums: &mut [[f32; BLOCK]; BLOCK]) {
        let upper: *mut f32 = sums.as_mut_ptr().cast();
        // SAFETY: tiles are configured; rows of 128 bytes, 16 from the first and 16 from the seventeenth.
        unsafe {
            asm!(
                "tilestored [{upper} + {row}*1], tmm0",
                "tilestored [{upper} + {row}*1 + 64], tmm1",
                "tilestored [{lower} + {row}*1], tmm2",
                "tilestored [{lower} + {row}*1 + 64], tmm3",
                upper = in(reg) upper, lower = in(reg) upper.add(16 * BLOCK), row = in(reg) 4 * BLOCK,
                options(nostack, preserves_flags)
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles are this value's.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}
