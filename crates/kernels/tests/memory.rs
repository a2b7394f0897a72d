//! Memory that attention is said to use is what it allocates. Texts are short, since large buffers do not come from the allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use matryo_kernels::{
    Attention, AttentionBackward, AttentionMask, AttentionMemory, AttentionShape, Disentangled,
    Level, Mat, Spans, attention, attention_bwd,
};

/// The system's allocator, with the bytes that this thread was lent and the most that it was: others allocate meanwhile.
struct Counting;

thread_local! {
    static LENT: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let lent = LENT.get() + bytes;
    LENT.set(lent);
    MOST.set(MOST.get().max(lent));
}

// SAFETY: all requests go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HEADS: usize = 2;
const DIM: usize = 16;

/// Bytes that a forward and backward of texts of these lengths hold at most, on a thread that had no memory of its own before.
fn measured(lengths: &[usize], mask: AttentionMask, with_distances: bool) -> usize {
    let mut bounds = vec![0];
    for len in lengths {
        bounds.push(bounds[bounds.len() - 1] + *len as u32);
    }
    let tokens = bounds[lengths.len()] as usize;
    let rows: Vec<u32> = (0..2 * longest(lengths) as u32 - 1).collect();
    let width = HEADS * DIM;
    let shape = AttentionShape {
        mask,
        ..AttentionShape::new(HEADS, DIM)
    };
    let (mut y, mut lse) = (Mat::zeros(tokens, width), Mat::zeros(tokens, HEADS));
    let (qkv, dy) = (Mat::zeros(tokens, 3 * width), Mat::zeros(tokens, width));
    let vectors = Mat::zeros(rows.len(), 2 * width);
    let mut d_vectors = vectors.clone();
    let mut dqkv = qkv.clone();
    let distances = with_distances.then_some(Disentangled {
        vectors: vectors.view(),
        for_queries: Some(width),
        for_keys: Some(0),
        rows: &rows,
    });
    let spans = Spans { bounds: &bounds };
    let mut run = || {
        attention(
            Level::best(),
            Attention {
                y: y.view_mut(),
                lse: Some(lse.view_mut()),
                qkv: qkv.view(),
                spans,
                shape,
                bias: None,
                distances,
                dropout: None,
            },
        );
        attention_bwd(
            Level::best(),
            AttentionBackward {
                dqkv: dqkv.view_mut(),
                dy: dy.view(),
                y: y.view(),
                lse: lse.view(),
                qkv: qkv.view(),
                spans,
                shape,
                bias: None,
                d_bias: None,
                distances,
                d_vectors: distances.map(|_| d_vectors.view_mut()),
                dropout: None,
            },
        );
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| {
        let before = LENT.get();
        // A thread's memory grows from that of the forward to that of the backward, and has both for a moment.
        run();
        MOST.set(LENT.get());
        run();
        (MOST.get() - before) as usize
    })
}

fn longest(lengths: &[usize]) -> usize {
    lengths.iter().copied().max().unwrap_or(1)
}

#[test]
#[cfg_attr(miri, ignore = "too slow for an interpreter")]
fn attention_takes_what_is_predicted() {
    let short = [40; 20];
    let mixed = [60, 20, 50, 31, 7];
    for (lengths, mask, with_distances) in [
        (&short[..], AttentionMask::FULL, false),
        (&short, AttentionMask::FULL, true),
        (&mixed, AttentionMask::FULL, true),
        (&[60], AttentionMask::FULL, true),
        (&[200], AttentionMask::window(16, 16), false),
    ] {
        let memory = AttentionMemory {
            shape: AttentionShape {
                mask,
                ..AttentionShape::new(HEADS, DIM)
            },
            longest: longest(lengths),
            tokens: lengths.iter().sum(),
            has_bias: false,
            distances: with_distances.then_some((2, 2 * longest(lengths) - 1)),
        };
        let predicted = memory.per_thread() + memory.sums();
        let found = measured(lengths, mask, with_distances);
        let ratio = found as f64 / predicted as f64;
        assert!(
            (0.8..1.05).contains(&ratio),
            "{lengths:?}, distances {with_distances}: {found} bytes, {predicted} predicted"
        );
    }
}
