//! AMX in software: the instructions that our kernels issue, executed by the handler of the illegal-instruction signal.
//!
//! Encodings and semantics: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 and chapter 18 of volume 1. All are
//! VEX-coded: `C4 [R X B map] [W vvvv L pp] opcode modrm [sib] [displacement]`, with `R`, `X`, `B` and `vvvv` inverted.

use std::{cell::RefCell, sync::Once};

use matryo_kernels::assume_amx;

/// 16 rows of 64 bytes.
type Tile = [[u8; 64]; 16];

thread_local! {
    static TILES: RefCell<[Tile; 8]> = const { RefCell::new([[[0; 64]; 16]; 8]) };
}

/// Registers of `ucontext_t` in the order of their numbers in instructions.
const REGISTERS: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Installs the handler; from then on AMX counts as available.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the action is zeroed but for its handler and flags, which is a valid one; the handler touches only the
        // interrupted thread's registers, tiles of its own, and the memory that the instruction names.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            assert_eq!(
                libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()),
                0,
                "sigaction"
            );
            assume_amx();
        }
    });
}

extern "C" fn handle(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `ucontext_t`; nobody else uses it while the thread is in the handler.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let rip = registers[libc::REG_RIP as usize] as *const u8;
    // SAFETY: an instruction is at most 15 bytes, and the code of a test does not end within 15 bytes of one of AMX.
    let code = unsafe { std::slice::from_raw_parts(rip, 15) };
    match execute(code, registers) {
        Some(length) => registers[libc::REG_RIP as usize] += length as i64,
        // Not ours: abort as without a handler.
        None => std::process::abort(),
    }
}

/// What the bytes of an instruction say.
struct Decoded {
    prefix: u8,
    opcode: u8,
    /// `modrm.reg`.
    reg: usize,
    /// `modrm.rm` if it names a register.
    register: Option<usize>,
    vvvv: usize,
    /// Address of the operand in memory without the index, and the index.
    address: usize,
    index: usize,
    length: usize,
}

/// Executes one instruction and returns its length, `None` if it is not one of AMX.
fn execute(code: &[u8], registers: &[i64; 23]) -> Option<usize> {
    let it = decode(code, registers)?;
    TILES.with_borrow_mut(|tiles| {
        match (it.opcode, it.prefix, it.register) {
            // ldtilecfg: the shapes of our kernels are always 16 rows of 64 bytes; tilerelease.
            (0x49, 0, None | Some(0)) => *tiles = [[[0; 64]; 16]; 8],
            // tilezero
            (0x49, 3, Some(_)) => tiles[it.reg] = [[0; 64]; 16],
            // tileloadd
            (0x4b, 3, None) => {
                for (i, row) in tiles[it.reg].iter_mut().enumerate() {
                    let source = (it.address + i * it.index) as *const [u8; 64];
                    // SAFETY: the instruction reads there.
                    *row = unsafe { source.read_unaligned() };
                }
            }
            // tilestored
            (0x4b, 2, None) => {
                for (i, row) in tiles[it.reg].iter().enumerate() {
                    let target = (it.address + i * it.index) as *mut [u8; 64];
                    // SAFETY: the instruction writes there.
                    unsafe { target.write_unaligned(*row) };
                }
            }
            // tdpbf16ps
            (0x5c, 2, Some(a)) => {
                tiles[it.reg] = dot(&tiles[it.reg], &tiles[a], &tiles[it.vvvv], add_bf16)
            }
            // tdpbusd
            (0x5e, 1, Some(a)) => {
                tiles[it.reg] = dot(&tiles[it.reg], &tiles[a], &tiles[it.vvvv], add_bytes)
            }
            _ => return None,
        }
        Some(it.length)
    })
}

fn decode(code: &[u8], registers: &[i64; 23]) -> Option<Decoded> {
    let [0xc4, first, second, opcode, modrm, ..] = *code else {
        return None;
    };
    // Map 0F38, W 0, L 0.
    if first & 0x1f != 2 || second & 0x84 != 0 {
        return None;
    }
    let high = |bit: u8| if first >> bit & 1 == 0 { 8 } else { 0 };
    let (mode, rm) = (modrm >> 6, usize::from(modrm & 7));
    let value = |register: usize| registers[REGISTERS[register] as usize] as usize;
    let (mut address, mut index, mut length) = (0, 0, 5);
    if mode != 3 {
        let mut base = rm + high(5);
        if rm == 4 {
            let sib = code[5];
            length += 1;
            base = usize::from(sib & 7) + high(5);
            let number = usize::from(sib >> 3 & 7) + high(6);
            index = if number == 4 {
                0
            } else {
                value(number) << (sib >> 6)
            };
        }
        // Addresses without a base are not used by our kernels.
        if mode == 0 && base % 8 == 5 {
            return None;
        }
        let (displacement, bytes) = match mode {
            1 => (isize::from(code[length] as i8), 1),
            2 => (
                i32::from_le_bytes(code[length..length + 4].try_into().ok()?) as isize,
                4,
            ),
            _ => (0, 0),
        };
        length += bytes;
        address = value(base).wrapping_add_signed(displacement);
    }
    Some(Decoded {
        prefix: second & 3,
        opcode,
        reg: usize::from(modrm >> 3 & 7),
        register: (mode == 3).then_some(rm),
        vvvv: usize::from(!(second >> 3) & 7),
        address,
        index,
        length,
    })
}

/// `c[m][n] = add(c[m][n], a[m][k], b[k][n])` over words of four bytes, for `k` in their order.
fn dot(c: &Tile, a: &Tile, b: &Tile, add: impl Fn([u8; 4], [u8; 4], [u8; 4]) -> [u8; 4]) -> Tile {
    let mut out = *c;
    for (out, a) in out.iter_mut().zip(a) {
        for (n, sum) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            for (a, b) in a.as_chunks::<4>().0.iter().zip(b) {
                *sum = add(*sum, *a, b.as_chunks::<4>().0[n]);
            }
        }
    }
    out
}

/// Two products of bf16, added one after the other.
fn add_bf16(sum: [u8; 4], a: [u8; 4], b: [u8; 4]) -> [u8; 4] {
    let bf16 = |word: [u8; 4], i: usize| f32::from_le_bytes([0, 0, word[2 * i], word[2 * i + 1]]);
    let sum = f32::from_le_bytes(sum) + bf16(a, 0) * bf16(b, 0);
    (sum + bf16(a, 1) * bf16(b, 1)).to_le_bytes()
}

/// Four products of an unsigned and a signed byte.
fn add_bytes(sum: [u8; 4], a: [u8; 4], b: [u8; 4]) -> [u8; 4] {
    let products = (0..4).map(|i| i32::from(a[i]) * i32::from(b[i] as i8));
    i32::from_le_bytes(sum)
        .wrapping_add(products.sum())
        .to_le_bytes()
}
